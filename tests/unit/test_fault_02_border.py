"""Nothing that is not ours reaches the screen with its text: classes, what was done, and a report without secrets."""

from __future__ import annotations

import argparse
import base64
import io
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kinky import border, paths
from kinky.cli import main
from kinky.cli.secrets import read_value
from kinky.errors import HostError, KinkyError
from kinky.retry import Pending, wait_until
from kinky.stacks import passphrase
from kinky.vault.token import find_tokens, read_token
from tests.unit.foreign_errors import FOREIGN, PEM, SECRET, bad_json, bad_key

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def fail_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    def replace(work: Callable[[], object]) -> None:
        def run(_arguments: argparse.Namespace) -> int:
            work()
            return 0

        monkeypatch.setattr("kinky.cli.stack.run_up", run)

    return replace


@pytest.mark.parametrize("work", FOREIGN, ids=lambda work: work.__name__)
def test_fault_02_a_foreign_exception_is_told_by_its_class_and_a_report(
    work: Callable[[], None],
    fail_with: Callable[[Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    fail_with(work)
    assert main.main(["up", "--stack", "dev"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    first, second, hint = printed.err.splitlines()
    assert first.startswith("unexpected error: ")
    assert first.endswith(", in: kinky up, stack dev")
    report = Path(second.removeprefix("  report: "))
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert stat.S_IMODE(report.parent.stat().st_mode) == 0o700
    text = report.read_text()
    assert f"in {work.__name__}" in text
    assert __file__ in text
    for told in (printed.err, text):
        assert SECRET not in told
        assert "hunter" not in told
    assert "send it" in hint


def test_fault_02_the_report_tells_the_chain_of_causes_by_class(fail_with: Callable[..., None]) -> None:
    fail_with(bad_json)
    main.main(["up"])
    (report,) = paths.reports_dir().iterdir()
    text = report.read_text()
    assert "builtins.ValueError" in text
    assert "caused by json.decoder.JSONDecodeError" in text


def test_fault_02_the_text_of_an_error_of_ours_is_in_the_report_but_not_its_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "a long passphrase of mine")
    encoded = base64.b64encode(b"a long passphrase of mine").decode()
    told = f"it says {encoded} and a long passphrase of mine\n{PEM}\nBearer abcdefg\nhttps://me:pw@host/x"

    def work() -> None:
        try:
            raise KinkyError(told)
        except KinkyError as error:
            raise ZeroDivisionError from error

    with pytest.raises(border.UnexpectedError), border.border("a test"):
        work()
    (report,) = paths.reports_dir().iterdir()
    text = report.read_text()
    assert "it says [taken out]" in text
    for secret in (encoded[:-4], "passphrase of mine", "AAAA", "abcdefg", "me:pw"):
        assert secret not in text


def test_fault_02_only_the_newest_reports_stay() -> None:
    for number in range(border.REPORTS_KEPT + 7):
        newest = border.write_report(f"report {number}\n")
    left = sorted(paths.reports_dir().iterdir())
    assert len(left) == border.REPORTS_KEPT
    assert left[-1] == newest
    assert "report 7\n" in left[0].read_text()


def test_fault_02_a_report_that_cannot_be_written_is_no_second_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    (paths.state_dir() / "reports").write_text("")
    with pytest.raises(border.UnexpectedError) as caught, border.border("a test"):
        raise ValueError(SECRET)
    assert caught.value.message == "unexpected error: ValueError, in: a test"
    assert "no report could be written: cannot use" in caught.value.details[0]
    assert SECRET not in str(caught.value)


def test_fault_02_an_error_of_ours_loses_its_foreign_causes() -> None:
    with pytest.raises(HostError) as caught, border.border("a test"):
        try:
            bad_key()
        except KeyError as error:
            raise HostError("ours") from error
    import traceback

    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_fault_02_a_thread_is_inside_the_border_too(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        thread = threading.Thread(target=bad_key)
        thread.start()
        thread.join()
        return 0

    assert border.run_main("a daemon", work) == 0
    told = capsys.readouterr().err
    assert told.startswith("unexpected error: KeyError, in: a daemon, in a thread\n")
    assert SECRET not in told


@pytest.mark.parametrize("module", ["kinky.embedded.sandbox", "kinky.bench.declaration"])
def test_fault_02_each_process_of_ours_ends_at_the_border(module: str, tmp_path: Path) -> None:
    """The arguments make each of them fail: a descriptor that is none, a number that is none."""
    arguments = {"kinky.embedded.sandbox": [str(tmp_path), "--listen-fd", "99"], "kinky.bench.declaration": [SECRET]}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments[module]], cwd=ROOT, capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
    assert done.stderr.strip()


@pytest.mark.parametrize("code", [KeyboardInterrupt, SystemExit])
def test_fault_02_an_end_that_was_asked_for_is_no_error(code: type[BaseException]) -> None:
    with pytest.raises(code), border.border("a test"):
        raise code


def test_fault_02_a_token_that_no_header_can_carry_is_refused_by_its_place(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for text, place in ((f"{SECRET} x", 20), (f"{SECRET}\nsecond", 20), (f"ł{SECRET}", 1), (f"{SECRET}\0", 20)):
        file.write_text(text)
        file.chmod(0o600)
        for environ, where in (({"VAULT_TOKEN_FILE": str(file)}, str(file)), ({"VAULT_TOKEN": text}, "$VAULT_TOKEN")):
            with pytest.raises(KinkyError) as caught:
                read_token(environ=environ, home=tmp_path)
            assert f"{where} has a character at place {place}" in caught.value.message
            assert "hunter" not in str(caught.value)


def test_fault_02_a_token_that_ends_with_a_newline_is_read_without_it(tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_bytes(f"{SECRET}\r\n".encode())
    (tmp_path / ".vault-token").chmod(0o600)
    assert read_token(environ={}, home=tmp_path) == SECRET
    assert read_token(environ={"VAULT_TOKEN": f"{SECRET}\n"}, home=tmp_path) == SECRET


def test_fault_02_a_secret_in_the_place_of_a_path_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable for a file that was given the content is a slip of everybody's."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", SECRET)
    calls: list[Callable[[], object]] = [
        lambda: read_token(environ={"VAULT_TOKEN_FILE": SECRET}),
        lambda: read_value(Path(SECRET), io.BytesIO(), prompt=""),
        lambda: passphrase._check_file("dev", Path(SECRET)),
        lambda: Path(SECRET * 20).write_text(""),
    ]
    for call in calls:
        with pytest.raises(KinkyError) as caught, border.border("a test"):
            call()
        assert "hunter" not in str(caught.value)
        assert "not shown" in str(caught.value) or "a path of 380 characters" in str(caught.value)


def test_fault_02_an_object_that_fails_at_its_end_is_inside_the_border(capsys: pytest.CaptureFixture[str]) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError(SECRET)

    def work() -> int:
        Failing()
        return 0

    assert border.run_main("a test", work) == 0
    assert capsys.readouterr().err.startswith("unexpected error: ValueError, in: a test, at the end of an object\n")


def test_fault_02_tokens_are_found_where_there_is_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    assert list(find_tokens(environ={"VAULT_TOKEN": SECRET})) == [("$VAULT_TOKEN", SECRET)]


def test_fault_02_what_a_wait_tolerates_is_told_without_its_text() -> None:
    seen: list[str] = []

    def check() -> bool | Pending:
        if not seen:
            raise ValueError(SECRET)
        return True

    wait_until(check, what="it", deadline_seconds=5, every_seconds=0.01, on_change=seen.append, tolerate=(ValueError,))
    assert seen == ["ValueError"]


def test_fault_02_the_border_costs_no_start(tmp_path: Path) -> None:
    program = (
        "import sys; import kinky.border; print([n for n in ('yaml', 'pulumi', 'kinky.scan') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == b"[]\n"
