"""Refusals of the operating system: one sentence with the path and the reason, and the variable to set."""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kinky import paths
from kinky.cli import main
from kinky.errors import HostError
from kinky.file_lock import file_lock

ROOT = Path(__file__).resolve().parents[2]
KINKY = [sys.executable, "-m", "kinky.cli.main"]
AS_NOBODY = """
import os, sys
# While the interpreter's files can be read.
import kinky.cli.environment, kinky.cli.tools, kinky.toolchain.tools, rich.console, rich.markup
from kinky.cli.main import main
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let `kinky tools` do something else."""

    def replace(work: Callable[[], object]) -> None:
        def run(_arguments: argparse.Namespace) -> int:
            work()
            return 0

        monkeypatch.setattr("kinky.cli.tools.run_tools", run)

    return replace


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command and return its standard error: one sentence and one hint."""
    assert main.main(["tools"]) == 1
    text = capsys.readouterr().err
    assert text.count("\n") == 2
    return text


@pytest.mark.parametrize(
    ("variable", "find"), [("KINKY_STATE_DIR", paths.state_dir), ("KINKY_CACHE_DIR", paths.cache_dir)]
)
def test_fault_16_a_file_where_a_directory_should_be(
    variable: str, find: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for below in ("", "/below", "/below/it"):
        monkeypatch.setenv(variable, f"{tmp_path}/file{below}")
        with pytest.raises(HostError) as caught:
            find()
        assert caught.value.message.startswith(f"cannot use {tmp_path}/file{below}: ")
        assert caught.value.message.endswith(f"; {tmp_path}/file is not a directory")
        assert caught.value.hint == f"set {variable} to another directory"


@pytest.mark.parametrize("name", ["clusters", "host", "pulumi", "reports"])
def test_fault_16_a_file_where_one_of_our_directories_should_be(name: str) -> None:
    (paths.state_dir() / name).write_text("")
    makers: dict[str, Callable[[], Path]] = {
        "clusters": lambda: paths.stack_dir("dev"),
        "host": paths.host_dir,
        "pulumi": paths.pulumi_backend_dir,
        "reports": paths.reports_dir,
    }
    with pytest.raises(HostError, match=f"{name} is not a directory"):
        makers[name]()


def run_as_nobody(base: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    for part in (base, *base.parents):
        if part.is_relative_to("/tmp") and part != Path("/tmp") and part.stat().st_uid == os.geteuid():
            part.chmod(0o755)
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_fault_16_the_state_directory_cannot_be_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("state")
    (base / "state").mkdir()
    (base / "state").chmod(0o500)
    (base / "cache").mkdir()
    for place in ("state", "state/below"):
        own = {"KINKY_CACHE_DIR": str(base / "cache"), "KINKY_STATE_DIR": str(base / place)}
        done = run_as_nobody(base, "env", "--stack", "dev", **own)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.splitlines()[-2].startswith(f"cannot use {base / place}: ")
        assert f"; {base}/state belongs to " in done.stderr
        assert "mode 0500, and you are " in done.stderr
        assert "\nhint: set KINKY_STATE_DIR to another directory that you can write to" in done.stderr


def test_fault_16_the_cache_cannot_be_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("cache")
    (base / "cache").mkdir()
    (base / "cache").chmod(0o555)
    (base / "state").mkdir()
    (base / "state").chmod(0o777)
    own = {"KINKY_CACHE_DIR": str(base / "cache"), "KINKY_STATE_DIR": str(base / "state/own")}
    done = run_as_nobody(base, "tools", "--ensure", **own)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2].startswith(f"cannot use {base}/cache/tools")
    assert "KINKY_CACHE_DIR" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("number", "reason", "hint"),
    [
        (errno.EACCES, "Permission denied", "set KINKY_STATE_DIR to another directory that you can write to"),
        (errno.EPERM, "Operation not permitted", "set KINKY_STATE_DIR to another directory that you can write to"),
        (errno.EROFS, "Read-only file system", "set KINKY_STATE_DIR to another directory"),
        (errno.ENOSPC, "No space left on device", "free some space, or set KINKY_STATE_DIR"),
        (errno.EDQUOT, "Disk quota exceeded", "free some space, or set KINKY_STATE_DIR"),
        (errno.ENOLCK, "its file system has no locks", "set KINKY_STATE_DIR to another directory, on a local"),
        (errno.EOPNOTSUPP, "its file system has no locks", "set KINKY_STATE_DIR to another directory, on a local"),
        (errno.EMFILE, "Too many open files", "ulimit -n"),
        (errno.ENFILE, "Too many open files in system", "ulimit -n"),
        (errno.EISDIR, "Is a directory", "set KINKY_STATE_DIR"),
        (errno.ESTALE, "Stale file handle", "set KINKY_STATE_DIR"),
        (errno.EIO, "Input/output error", "set KINKY_STATE_DIR"),
    ],
)
def test_fault_16_each_reason_is_told_without_a_report(
    number: int,
    reason: str,
    hint: str,
    failing: Callable[[Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = paths.stack_dir("dev") / "kubeconfig.yaml"

    def fail() -> None:
        raise OSError(number, "hunter2-and-hunter3", str(place))

    failing(fail)
    text = told(capsys)
    assert text.startswith(f"cannot use {place}: {reason}")
    assert f"\nhint: {hint}" in text or f"\nhint: raise the limit, as with: {hint}" in text
    assert "hunter" not in text
    assert list(paths.reports_dir().iterdir()) == []


def test_fault_16_another_reason_is_a_fault_of_ours(
    failing: Callable[[Callable[[], object]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    failing(lambda: Path("/absent").read_text())
    assert main.main(["tools"]) == 1
    assert capsys.readouterr().err.startswith("unexpected error: FileNotFoundError, in: kinky tools\n")


def test_fault_16_a_place_of_the_users_has_no_variable(
    failing: Callable[[Callable[[], object]], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    failing(lambda: tmp_path.read_text())
    assert told(capsys) == f"cannot use {tmp_path}: Is a directory\nhint: choose another directory\n"


def test_fault_16_a_full_file_system_is_named(
    monkeypatch: pytest.MonkeyPatch,
    failing: Callable[[Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The kernel names no file when a write fails."""

    def fail() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    cache = paths.cache_dir()
    usage = shutil.disk_usage(cache)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=0 if folder == cache else 1 << 40))
    failing(fail)
    text = told(capsys)
    assert text.startswith(f"cannot use {cache}: No space left on device\n")
    assert text.endswith("hint: free some space, or set KINKY_CACHE_DIR to another directory\n")


def test_fault_16_a_really_full_device() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*KINKY, "--version"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("cannot ")
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_fault_16_a_lock_that_cannot_be_had(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = paths.host_dir() / "host.lock"
    with pytest.raises(HostError) as caught, file_lock(path):
        pytest.fail("the block ran without the lock")
    assert caught.value.message.startswith(f"cannot use {path}: ")
    assert "KINKY_STATE_DIR" in (caught.value.hint or "")


def test_fault_16_an_error_of_the_block_is_not_the_locks() -> None:
    with pytest.raises(FileNotFoundError), file_lock(paths.host_dir() / "host.lock"):
        raise FileNotFoundError(errno.ENOENT, "absent")


def test_fault_16_really_too_many_open_files() -> None:
    program = (
        "import resource, sys\nfrom kinky.border import run_main\nfrom kinky import paths\n"
        "from kinky.file_lock import file_lock\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "def work():\n    with file_lock(paths.host_dir() / 'x.lock'): return 0\n"
        "sys.exit(run_main('a test', work))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "host/x.lock: Too many open files\nhint: raise the limit, as with: ulimit -n 4096\n" in done.stderr
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 3


def test_fault_16_a_blocker_around_the_cache_is_not_to_be_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody shall be told to open a home directory."""
    (tmp_path / "home/cache").mkdir(parents=True)
    monkeypatch.setenv("KINKY_CACHE_DIR", str(tmp_path / "home/cache"))
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != tmp_path / "home")
    error = paths.explain(PermissionError(errno.EACCES, "", str(tmp_path / "home/cache/tools")))
    assert f"; {tmp_path}/home belongs to " in error.message
    assert error.hint == "set KINKY_CACHE_DIR to another directory that you can write to, or change the permissions"
