"""When KVM is tried, what follows from it, and what of it is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinky.embedded import accelerator
from kinky.embedded.layout import Layout
from kinky.embedded.machine import Record
from kinky.errors import CommandError

RECORD = Record(pid=1, apiPort=16440, started=0.0)


class Trial:
    """Stands for the machine: what the packages and the console of a trial give."""

    def __init__(self) -> None:
        self.boots = 0
        self.packages: CommandError | None = None
        self.console: str | CommandError = accelerator.MARKER

    def ensure_files(self) -> Path:
        if self.packages:
            raise self.packages
        return Path("/trial")

    def boot(self, *_: object) -> str:
        self.boots += 1
        if isinstance(self.console, CommandError):
            raise self.console
        return self.console


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Trial:
    made = Trial()
    monkeypatch.setattr(accelerator, "DEVICE", tmp_path / "kvm")
    (tmp_path / "kvm").touch()
    monkeypatch.setattr(accelerator, "_ensure_files", made.ensure_files)
    monkeypatch.setattr(accelerator, "_boot", made.boot)
    return made


def decide(place: Path) -> str:
    return accelerator.decide(Layout(place), RECORD).accelerator


@pytest.mark.parametrize(("console", "expected"), [(accelerator.MARKER, "kvm"), ("", "emulation")])
def test_what_a_trial_showed_is_remembered(trial: Trial, tmp_path: Path, console: str, expected: str) -> None:
    trial.console = console
    assert [decide(tmp_path), decide(tmp_path)] == [expected, expected]
    assert trial.boots == 1


def test_packages_that_cannot_be_had_are_told_and_say_nothing_about_kvm(trial: Trial, tmp_path: Path) -> None:
    trial.packages = CommandError("mmdebstrap failed")
    with pytest.raises(CommandError, match="mmdebstrap failed"):
        decide(tmp_path)
    trial.packages = None
    assert decide(tmp_path) == "kvm"


def test_a_trial_that_could_not_run_is_repeated(trial: Trial, tmp_path: Path) -> None:
    trial.console = CommandError("ctr failed", details=["no such image"])
    assert decide(tmp_path) == "emulation"
    trial.console = accelerator.MARKER
    assert decide(tmp_path) == "kvm"


def test_a_device_that_is_there_later_is_tried_then(trial: Trial, tmp_path: Path) -> None:
    accelerator.DEVICE.unlink()
    assert decide(tmp_path) == "emulation"
    accelerator.DEVICE.touch()
    assert decide(tmp_path) == "kvm"
