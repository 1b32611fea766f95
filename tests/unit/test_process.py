"""Running real, small programs."""

import multiprocessing
import os
import sys
import time
from pathlib import Path

import pytest

from kinky import process
from kinky.errors import CommandError
from kinky.file_lock import file_lock
from kinky.retry import Pending, wait_until


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_standard_output_comes_back() -> None:
    assert process.run(["printf", "a\nb"], reason="test") == "a\nb"


def test_input_variables_and_directory(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.stdin.read(), os.environ['KINKY_X'], os.environ['PATH'] != '', os.getcwd())"
    out = process.run(python(code), reason="test", stdin=b"in", env={"KINKY_X": "x"}, cwd=tmp_path)
    assert out.split() == ["in", "x", "True", str(tmp_path)]


def test_a_program_without_input_reads_nothing() -> None:
    assert process.run(["cat"], reason="test", timeout_seconds=5) == ""


def test_a_failure_tells_command_purpose_and_last_lines() -> None:
    with pytest.raises(CommandError) as caught:
        process.run(["sh", "-c", "echo out; echo 'no space' >&2; exit 3"], reason="write it", hint="free some")
    assert str(caught.value) == (
        "command failed with exit code 3: sh -c 'echo out; echo '\"'\"'no space'\"'\"' >&2; exit 3'\n"
        "  needed to: write it\n  last output: no space\nhint: free some"
    )


def test_a_long_output_is_cut_to_its_end() -> None:
    with pytest.raises(CommandError) as caught:
        process.run(["sh", "-c", "seq 100 >&2; exit 1"], reason="count")
    lines = [line for line in caught.value.details if line.startswith("last output")]
    assert lines[-1] == "last output: 100"
    assert len(lines) == process.LAST_LINES


def test_a_missing_program_is_told_by_name() -> None:
    with pytest.raises(CommandError, match=r"kinky-no-such-program: No such file or directory"):
        process.run(["kinky-no-such-program"], reason="test")


def test_a_time_limit_ends_the_children_too(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(CommandError, match=r"took longer than 1 s"):
        process.run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait"], reason="test", timeout_seconds=1)
    assert time.monotonic() - started < 20
    child = int((tmp_path / "pid").read_text())

    def is_over() -> bool | Pending:
        try:
            state = Path(f"/proc/{child}/stat").read_text().split()[2]
        except (FileNotFoundError, ProcessLookupError):
            return True
        # Killed, but its new parent has not collected it yet.
        return state in "ZX" or Pending(state)

    # The signal was sent; a busy machine takes a moment to deliver it.
    wait_until(is_over, what="the end of the child", deadline_seconds=10, every_seconds=0.05)


def test_the_log_holds_everything_and_the_error_still_tells_the_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("older\n")
    assert process.run(["sh", "-c", "echo out; echo err >&2"], reason="test", log=log) == "out\n"
    assert log.read_text() == "older\n+ sh -c 'echo out; echo err >&2'\nerr\nout\n"
    with pytest.raises(CommandError) as caught:
        process.run(["sh", "-c", "echo wrong >&2; exit 1"], reason="test", log=log)
    assert caught.value.details == ("needed to: test", "last output: wrong", f"full output: {log}")


def test_a_detached_program_lives_until_it_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import os, sys, time; print('up', os.getsid(0) == os.getpid(), flush=True); time.sleep(60)"
    pid = process.spawn_detached(python(code), log=log, env={"KINKY_X": "x"})
    try:
        assert process.is_alive(pid, expect="time.sleep(60)")
        assert not process.is_alive(pid, expect="another program")
        process.terminate(pid, expect="another program")
        assert process.is_alive(pid, expect="time.sleep(60)"), "a process that is not the expected one is left alone"
    finally:
        process.terminate(pid, expect="time.sleep(60)")
    assert not process.is_alive(pid, expect="time.sleep(60)")
    process.terminate(pid, expect="time.sleep(60)")


def test_a_detached_program_does_not_get_the_operators_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in process.ADMIN_SECRETS:
        monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", "/a/file")
    monkeypatch.setenv("AWS_PROFILE", "what an exec plugin needs")
    pid = process.spawn_detached(python("import time; time.sleep(60)"), log=tmp_path / "log", env={"KINKY_X": "x"})
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    finally:
        process.terminate(pid, expect="time.sleep(60)")
    given = dict(entry.split("=", 1) for entry in entries if entry)
    assert not set(process.ADMIN_SECRETS) & given.keys()
    assert {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_ACCESS_TOKEN", "VAULT_TOKEN"} == set(process.ADMIN_SECRETS)
    assert {"PULUMI_CONFIG_PASSPHRASE_FILE", "AWS_PROFILE", "KINKY_X", "PATH"} <= given.keys()


def test_a_stubborn_program_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    log = tmp_path / "log"
    pid = process.spawn_detached(python(code), log=log)
    for _ in range(200):
        if log.read_text():
            break
        time.sleep(0.05)
    process.terminate(pid, expect="time.sleep(60)", grace_seconds=0.3)
    assert not process.is_alive(pid, expect="time.sleep(60)")


def test_a_detached_program_gets_no_other_descriptors(tmp_path: Path) -> None:
    log = tmp_path / "log"
    read, write = os.pipe()
    os.set_inheritable(write, True)
    try:
        code = "import os; print(sorted(os.listdir('/proc/self/fd'), key=int)[:-1])"
        pid = process.spawn_detached(python(code), log=log)
        for _ in range(200):
            if not process.is_alive(pid, expect="listdir"):
                break
            time.sleep(0.05)
        assert log.read_text().strip() == "['0', '1', '2']"
    finally:
        os.close(read)
        os.close(write)


def _hold(path: Path, order: Path, name: str, seconds: float) -> None:
    with file_lock(path), order.open("a") as out:
        out.write(f"{name} in\n")
        out.flush()
        time.sleep(seconds)
        out.write(f"{name} out\n")


def test_a_lock_lets_one_in_at_a_time(tmp_path: Path) -> None:
    order = tmp_path / "order"
    holders = [
        multiprocessing.get_context("spawn").Process(target=_hold, args=(tmp_path / "a/lock", order, name, 0.2))
        for name in "abc"
    ]
    for holder in holders:
        holder.start()
    for holder in holders:
        holder.join(30)
    lines = order.read_text().splitlines()
    assert len(lines) == 6
    assert all(lines[at].split()[0] == lines[at + 1].split()[0] for at in (0, 2, 4))


def test_an_output_that_is_no_text_goes_to_a_file(tmp_path: Path) -> None:
    with (tmp_path / "output").open("w+b") as output:
        assert process.run(["printf", r"\377\0"], reason="test", output=output) == ""
        output.seek(0)
        assert output.read() == b"\xff\0"
