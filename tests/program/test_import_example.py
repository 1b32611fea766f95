"""The example of the documentation, run as it stands there."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from kinky import program
from tests.program.conftest import ROOT, build_args
from tests.program.recorder import record

EXAMPLE = ROOT / "docs/examples/import-inner-cluster/__main__.py"


def test_another_program_can_have_an_inner_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(raw: dict[str, Any], *, source: str, stack: str) -> object:
        return build_args(raw, source=source)

    monkeypatch.setattr(program, "prepare", prepare)
    monkeypatch.setattr(program, "describe_stack", lambda: "organization/shop/dev")
    recorded = record(lambda: runpy.run_path(str(EXAMPLE), run_name="__main__"))
    greeting = recorded.one("ConfigMap", "greeting")
    assert recorded.one("GateOpened").name in recorded.before(greeting)
    assert greeting.deleted_with == recorded.one("InnerCluster", "shop").urn
    assert recorded.exports["endpoint"].startswith("https://")


def test_the_example_is_short() -> None:
    lines = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= 14
