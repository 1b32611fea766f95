"""What a process lacks or loses: a home, a reader of its output, the right to run a program."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from kinky import border, paths, process
from kinky.errors import CommandError, HostError
from tests.unit.test_fault_16_os_errors import KINKY, ROOT


def test_fault_16_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KINKY_STATE_DIR", "KINKY_CACHE_DIR", "XDG_CACHE_HOME", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _uid: {}["no such user"])
    for find in (paths.state_dir, paths.cache_dir):
        with pytest.raises(HostError, match="no home directory is known") as caught:
            find()
        assert caught.value.hint == "export HOME, or KINKY_STATE_DIR and KINKY_CACHE_DIR"
    # Elsewhere a home is asked for by way of pathlib, as for ~/.kube/config.
    with pytest.raises(HostError, match="no home directory is known"), border.border("a test"):
        Path("~/.kube/config").expanduser()


def test_fault_16_no_home_but_directories_are_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _uid: {}["no such user"])
    assert border.run_main("a test", lambda: 0 if paths.state_dir() != paths.cache_dir() else 1) == 0
    monkeypatch.delenv("KINKY_STATE_DIR")
    assert paths.folder_mode(paths.cache_dir() / "tools") == 0o755


def test_fault_16_programs_get_the_home_that_a_service_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    assert border.run_main("a test", lambda: 0) == 0
    assert os.environ["HOME"] == str(Path.home())


@pytest.mark.parametrize("arguments", [["--help"], ["up", "--help"], ["--version"]])
def test_fault_16_a_reader_that_went_away_ends_the_command_quietly(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    # Unbuffered, the parser of arguments would have met the closed pipe itself, and said nothing.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([*KINKY, *arguments], cwd=ROOT, env=environment, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_fault_16_both_outputs_gone() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*KINKY, "unknown"], cwd=ROOT, stdout=writer, stderr=writer)
    os.close(writer)
    assert done.returncode == 141


def test_fault_16_a_pipe_of_somebody_else_is_no_reader_that_went_away(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    assert border.run_main("a test", work) == 1
    assert capsys.readouterr().err.startswith("unexpected error: BrokenPipeError, in: a test")


def test_fault_16_a_program_that_may_not_be_run_is_told_with_its_owner(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o644)
    with pytest.raises(CommandError) as caught:
        process.run([program], reason="do it")
    assert f"reason: cannot use {program}: Permission denied; {program} belongs to " in caught.value.details[1]
    assert "mode 0644" in caught.value.details[1]
