"""How the tests call `kinky`: this checkout, this interpreter, a passphrase only where nobody has given one."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kinky import paths, process
from kinky.testing.commands import run_kinky


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, Any]]]:
    made: list[tuple[list[str], dict[str, Any]]] = []
    monkeypatch.setattr(process, "run", lambda argv, **options: made.append((argv, options)))
    return made


def call(tmp_path: Path, *, embedded: bool) -> None:
    stack: Any = SimpleNamespace(stack="t-1-0", cluster="t-1-0", embedded=embedded)
    run_kinky("lease end", "--more", stack=stack, log=tmp_path / "log", limit_seconds=5)


def test_the_command_is_this_checkouts(calls: list[tuple[list[str], dict[str, Any]]], tmp_path: Path) -> None:
    call(tmp_path, embedded=True)
    ((argv, options),) = calls
    assert argv == [sys.executable, "-P", "-m", "kinky.cli.main", "lease", "end", "--more", "--stack", "t-1-0"]
    assert options["env"] == {"PYTHONPATH": str(paths.project_root())}
    assert options["reason"] == "lease end inner cluster t-1-0"


def test_a_host_of_ones_own_gets_a_passphrase_once(
    calls: list[tuple[list[str], dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(tmp_path, embedded=False)
    call(tmp_path, embedded=False)
    first, second = (options["env"]["PULUMI_CONFIG_PASSPHRASE_FILE"] for _, options in calls)
    assert first == second
    assert stat.S_IMODE(Path(first).stat().st_mode) == 0o600
    assert len(Path(first).read_text().strip()) > 30
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of the admin")
    call(tmp_path, embedded=False)
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in calls[-1][1]["env"]
