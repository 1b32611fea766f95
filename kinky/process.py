"""Running other programs; the only home of subprocess.

Arguments are always lists, never a shell's text. Secrets go to a program by file or standard input, never by argument,
because arguments are printed when something fails.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from kinky import paths
from kinky.errors import CommandError
from kinky.given_paths import resolve_variables
from kinky.retry import Pending, wait_until

Argument = str | Path

ADMIN_SECRETS = ("PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "VAULT_TOKEN")
"""Variables that hold a secret of the admin's, of which no program that lives for days has a use.

All others are handed on: an exec plugin of the host's kubeconfig may need any of them. A variable that names a file
tells nothing to a program that cannot read the file.
"""
LAST_LINES = 12
"""Lines of output that an error shows: enough for a compiler's or kubectl's message, still one screen."""


def run(
    argv: Sequence[Argument],
    *,
    reason: str,
    hint: str | None = None,
    timeout_seconds: float = 600,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | BinaryIO | None = None,
    output: BinaryIO | None = None,
    log: Path | None = None,
) -> str:
    """Run a program to its end and return its standard output.

    Args:
        reason: The purpose of the program, as an infinitive without "to", such as "sign the certificate".
        env: Variables added to this process's environment.
        stdin: The input of the program: a text, or a file that may be large; by default nothing.
        output: A file for standard output that is large or no text; nothing is returned then.
        log: A file to which standard error is written while the program runs, and standard output at its end.

    Raises:
        CommandError: The program is missing, failed, or ran into the time limit.
    """
    command = [os.fspath(part) for part in argv]
    started = time.monotonic()
    try:
        result = _execute(
            command, timeout_seconds=timeout_seconds, env=env, cwd=cwd, stdin=stdin, output=output, log=log
        )
    except OSError as error:
        at_fault = error.filename or command[0]
        raise CommandError(
            f"command could not start: {shlex.join(command)}",
            details=[f"needed to: {reason}", f"reason: {_why(error, at_fault)}"],
            hint=hint,
        ) from error
    if result.returncode != 0:
        seconds = time.monotonic() - started
        raise _failure(command, result, reason=reason, hint=hint, log=log, limit=timeout_seconds, seconds=seconds)
    return _text(result.stdout)


def ask(
    argv: Sequence[Argument], *, env: Mapping[str, str] | None = None, timeout_seconds: float
) -> subprocess.CompletedProcess[bytes]:
    """Run a program with perhaps secret arguments and output; the caller reports how it ended.

    Args:
        env: Variables added to this process's environment.

    Raises:
        OSError: It could not start.
    """
    command = [os.fspath(part) for part in argv]
    return _execute(command, timeout_seconds=timeout_seconds, env=env, cwd=None, stdin=None, output=None, log=None)


def spawn_detached(
    argv: Sequence[Argument],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> int:
    """Start a program that outlives this process, in its own session with its output appended to `log`; return its pid.

    Args:
        env: Variables added to this process's environment, of which ADMIN_SECRETS are left out.

    Raises:
        CommandError: The program could not start.
    """
    command = [os.fspath(part) for part in argv]
    inherited = {name: value for name, value in os.environ.items() if name not in ADMIN_SECRETS}
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # It runs in another working directory, so no path in a variable may be relative.
                env={**inherited, **resolve_variables(inherited), **(env or {})},
                pass_fds=tuple(pass_fds),
                # "/" keeps no directory busy, so that a checkout can be moved while the program runs.
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise CommandError(
                f"command could not start: {shlex.join(command)}", details=[f"reason: {error.strerror}"]
            ) from error
    # The process is meant to outlive us; without this, Python would warn about it when the object goes away.
    process.returncode = 0
    _wait_for_command_line(process.pid)
    return process.pid


def is_alive(pid: int, *, expect: str) -> bool:
    """Tell whether the process runs and is the expected one: its command line holds `expect` (pids are reused)."""
    _reap(pid)
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return expect in command.replace(b"\0", b" ").decode(errors="replace")


def terminate(pid: int, *, expect: str, grace_seconds: float = 10) -> None:
    """End the process if it is the expected one: ask first, kill after the grace period.

    Raises:
        WaitError: The process is there even after it was killed.
    """

    def gone() -> bool | Pending:
        return Pending("still running") if is_alive(pid, expect=expect) else True

    for number, limit in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
        if not is_alive(pid, expect=expect):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        last = number is signal.SIGKILL
        try:
            wait_until(gone, what=f"end of process {pid} ({expect})", deadline_seconds=limit, every_seconds=0.1)
        except Exception:
            if last:
                raise


def _execute(
    command: list[str],
    *,
    timeout_seconds: float,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    stdin: bytes | BinaryIO | None,
    output: BinaryIO | None,
    log: Path | None,
) -> subprocess.CompletedProcess[bytes]:
    """Run the command; a time limit that passed gives the return code of `SIGKILL`."""
    text = stdin if isinstance(stdin, bytes) else None
    with _open_log(log, command) as errors:
        # Asked before the start, because the program shares the file's position and moves it.
        start = 0 if errors is None else errors.tell()
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.PIPE if errors is None else errors,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            # An own process group, so that a time limit or Ctrl-C ends the program's children too.
            process_group=0,
        ) as process:
            # An output that went to a file is None here.
            out, err = (part or b"" for part in _communicate(process, text, timeout_seconds))
        if errors is not None:
            errors.seek(start)
            err = errors.read()
            errors.write(out)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _communicate(process: subprocess.Popen[bytes], stdin: bytes | None, timeout_seconds: float) -> tuple[bytes, bytes]:
    """Return what the program printed; on a time limit or an interrupt, end it with its children."""
    try:
        return process.communicate(stdin, timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        return _drain(process)
    except BaseException:
        _kill_group(process)
        raise


@contextlib.contextmanager
def _open_log(log: Path | None, command: list[str]) -> Iterator[BinaryIO | None]:
    """Yield the log, ready to be appended to and read back, with the command as its newest line."""
    if log is None:
        yield None
        return
    with log.open("a+b", buffering=0) as handle:
        handle.write(f"+ {shlex.join(command)}\n".encode())
        yield cast(BinaryIO, handle)


def _drain(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Return what a killed program printed; a grandchild in a session of its own may keep the pipes open."""
    try:
        return process.communicate(timeout=5)
    except subprocess.TimeoutExpired as error:
        return error.stdout or b"", error.stderr or b""


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _failure(
    command: list[str],
    result: subprocess.CompletedProcess[bytes],
    *,
    reason: str,
    hint: str | None,
    log: Path | None,
    limit: float,
    seconds: float,
) -> CommandError:
    """Return the error with the command, the way it ended, what it was for and its last lines."""
    if result.returncode == -signal.SIGKILL and seconds >= limit:
        ended = f"took longer than {limit:.0f} s"
    elif result.returncode < 0:
        ended = f"ended by signal {-result.returncode}"
    else:
        ended = f"failed with exit code {result.returncode}"
    output = _text(result.stderr).strip() or _text(result.stdout).strip()
    details = [f"needed to: {reason}"]
    details.extend(f"last output: {line}" for line in output.splitlines()[-LAST_LINES:])
    if log is not None:
        details.append(f"full output: {log}")
    return CommandError(f"command {ended}: {shlex.join(command)}", details=details, hint=hint)


def _why(error: OSError, path: str) -> str:
    """Return why a program could not start, with the file's owner if we are not allowed to run it."""
    return paths.explain(error, Path(path)).message if error.errno == errno.EACCES else f"{path}: {error.strerror}"


def _text(output: bytes) -> str:
    return output.decode(errors="replace")


def _wait_for_command_line(pid: int) -> None:
    """Wait until the new program can be recognised: for a moment after its start, its command line reads as empty."""

    def shown() -> bool | Pending:
        try:
            status = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return True if status or Path(f"/proc/{pid}/cmdline").read_bytes() else Pending("no command line")
        except (ChildProcessError, FileNotFoundError, ProcessLookupError):
            return True

    wait_until(shown, what=f"start of process {pid}", deadline_seconds=5, every_seconds=0.01)


def _reap(pid: int) -> None:
    """Collect the exit status of a child of ours, which would otherwise look alive as a zombie."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
