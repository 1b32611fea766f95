"""Progress lines, without a terminal and on one."""

import os
import pty
import re
import sys
import threading

import pytest

from kinky import paths, progress


def test_plain_lines_on_standard_error_only(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.phase("create VMs [all]", limit_seconds=90) as running:
        running.note("1 of 2")
        running.note("1 of 2")
        running.note("2 of 2 :smile:")
    out, err = capsys.readouterr()
    assert out == ""
    assert [re.sub(r" +\d+ s  ", " t ", line) for line in err.splitlines()] == [
        "• create VMs [all] (at most 90 s)",
        " t 1 of 2",
        " t 2 of 2 :smile:",
        "✓ create VMs [all] (0 s)",
    ]


def test_a_failed_phase_has_a_cross_and_the_error_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), progress.phase("try"):
        raise ValueError("broken")
    assert capsys.readouterr().err.splitlines() == ["• try", "✗ try (0 s)"]


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    with progress.phase("work") as running:
        running.note("something")
    progress.note("more")
    assert capsys.readouterr() == ("", "")


def test_phases_of_several_threads_do_not_meet(capsys: pytest.CaptureFixture[str]) -> None:
    def work(name: str) -> None:
        with progress.phase(name) as running:
            running.note("x")

    threads = [threading.Thread(target=work, args=(f"phase {number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 15
    assert {line for line in lines if line.startswith("✓")} == {f"✓ phase {number} (0 s)" for number in range(5)}


def test_a_terminal_has_one_live_line_and_lines_above_it() -> None:
    code = (
        "from kinky import progress\n"
        "with progress.phase('outer', limit_seconds=5) as outer:\n"
        "    outer.note('seen')\n"
        "    with progress.phase('inner'):\n"
        "        pass\n"
    )
    leader, follower = pty.openpty()
    pid = os.fork()
    if pid == 0:
        os.dup2(follower, 2)
        os.close(leader)
        os.environ["TERM"] = "xterm"
        os.environ["PYTHONPATH"] = str(paths.project_root())
        os.execv(sys.executable, [sys.executable, "-c", code])  # noqa: S606
    os.close(follower)
    text = ""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece.decode()
    os.close(leader)
    assert os.waitpid(pid, 0)[1] == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "seen" in plain
    assert "• inner" in plain
    assert plain.rindex("✓ inner") < plain.rindex("✓ outer")
    assert "outer (at most 5 s)" in plain
