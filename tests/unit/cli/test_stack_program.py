"""The program that runs in the process of `kinky up`."""

from __future__ import annotations

import os

import pytest

from kinky import paths
from kinky.stacks.inline import PROGRAM, prepared


def test_the_program_sees_what_pulumi_gets_and_nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another stack in the same process, as in `kinky down`, must not get this one's passphrase."""
    monkeypatch.setenv("KUBECONFIG", "/before")
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    with prepared({"PULUMI_STACK": "dev", "KUBECONFIG": "/within"}):
        assert (os.environ["PULUMI_STACK"], os.environ["KUBECONFIG"]) == ("dev", "/within")
    assert os.environ["KUBECONFIG"] == "/before"
    assert "PULUMI_STACK" not in os.environ


def test_it_is_the_program_of_plain_pulumi() -> None:
    text = (paths.project_root() / "__main__.py").read_text()
    assert PROGRAM == "kinky.program" and "from kinky import program" in text and "program.main()" in text
