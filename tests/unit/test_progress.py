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


def on_a_terminal(code: str) -> str:
    """Run Python code with a terminal as its standard error, and return what the terminal got, without its escapes."""
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
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_terminal_has_a_table_of_what_runs_and_lines_above_it() -> None:
    plain = on_a_terminal(
        "from kinky import progress\n"
        "with progress.phase('outer', limit_seconds=5) as outer:\n"
        "    outer.note('seen')\n"
        "    with progress.phase('inner'):\n"
        "        progress._TERMINAL._live.refresh()\n"
        "        progress.note('a line')\n"
        "print('data')\n"
    )
    assert re.search(r"• outer  0 s \(at most 5 s\)\s+seen\s+• inner  0 s\s", plain)
    assert plain.index("a line") < plain.rindex("✓ inner") < plain.rindex("✓ outer")


RELAYED = (
    "from kinky import progress\n"
    "with progress.relaying(['cp-0', 'worker-0', 'worker-1']) as relay:\n"
    "    relay('• API answers (at most 90 s)', 'a')\n"
    "    relay('• store is proved', 'b')\n"
    "    relay('   0 s  guests: worker-0 kernel, cp-0 kubelet', 'a')\n"
    "    relay('   1 s  nothing yet', 'b')\n"
    "    relay('a word', 'b')\n"
)


def test_lines_of_another_process_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    exec(RELAYED, {})  # noqa: S102 - the same code runs on a terminal below
    assert capsys.readouterr().err.splitlines() == [
        "• API answers (at most 90 s)",
        "• store is proved",
        "   0 s  guests: worker-0 kernel, cp-0 kubelet",
        "   1 s  nothing yet",
        "a word",
    ]


def test_phases_of_another_process_stand_in_the_table_with_each_node() -> None:
    refresh = "    progress._TERMINAL._live.refresh()\n"
    between = "    print('between', file=__import__('sys').stderr)\n    relay('✓ API answers (2 s)', 'a')\n"
    before, after = on_a_terminal(f"{RELAYED}{refresh}{between}{refresh}").split("between", 1)
    assert re.search(
        r"• API answers      0 s \(at most 90 s\)\s+guests: worker-0 kernel, cp-0 kubelet\s+"
        r"• store is proved  0 s\s+nothing yet\s+cp-0      kubelet\s+worker-0  kernel\s",
        before,
    )
    assert "✓ API answers (2 s)" in after
    last = after[after.rindex("• store is proved") :]
    assert "nothing yet" in last and "cp-0" not in last


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("VMs: one Starting, two absent", {"one": "Starting", "two": "absent"}),
        ("not registered: one, two", {"one": "not registered", "two": "not registered"}),
        (
            "one not Ready: no CNI: none; two not Ready: the same",
            {"one": "not Ready: no CNI: none", "two": "not Ready: the same"},
        ),
        ("a guest has started Kubernetes: two has reached kubelet", {"two": "has reached kubelet"}),
        ("one is slow: 40 s on the way", {"one": "is slow: 40 s on the way"}),
        ("all nodes are Ready: 2 Ready", {}),
        ("about nobody", {}),
    ],
)
def test_what_a_note_says_of_each_node(text: str, states: dict[str, str]) -> None:
    assert progress.find_states(text, ["one", "two"]) == states
