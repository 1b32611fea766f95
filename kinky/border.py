"""The border of KinKy: the text of a foreign exception never leaves a command, a live step or a process.

A library may put anything into the text of its exception: a header with a token, a line of a file, a command. So the
message has only the class of the exception, the failed step, and the path of a report. The report has files, lines
and functions of the exception and its causes, but no text of a library and no variable.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import shutil
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from kinky import os_errors, paths
from kinky.errors import ConfigError, KinkyError
from kinky.exit_codes import ExitCode

REPORTS_KEPT: Final = 20
_CAUSES: Final = 10
_FRAMES: Final = 40
"""Frames that the report keeps at each end of a traceback; an endless recursion has thousands."""
_NO_HOME: Final = "Could not determine home directory."
"""The text of pathlib's exception, which has no class of its own."""
_NUMBERS: Final = itertools.count(1)
_NO_SPACE_BYTES: Final = 1 << 20


class UnexpectedError(KinkyError):
    """Something failed that KinKy did not expect; the text of the exception is not repeated."""


@contextlib.contextmanager
def border(doing: str) -> Iterator[None]:
    """Let only KinKy's errors leave the block, without their causes.

    Args:
        doing: The work of the block, for the message: a command and its stack, or a step and its cluster.

    Raises:
        KinkyError: The block failed.
    """
    try:
        yield
    except KinkyError as error:
        # A traceback of the error would print its causes too.
        error.__cause__, error.__suppress_context__ = None, True
        raise
    except Exception as error:
        raise translate(error, doing) from None


def run_main(doing: str, work: Callable[[], int], *, failed: ExitCode = ExitCode.FAILED) -> int:
    """Run the main function of a process and return the exit code; an error is printed to standard error.

    An exception in another thread is reported in the same way.

    Args:
        doing: The work, for the message of an unexpected error.
        work: Returns the exit code.
        failed: The exit code after an error that is not one of the configuration.
    """
    # A service or a cron job has no HOME, but Go's build and other programs need it.
    with contextlib.suppress(RuntimeError):
        os.environ.setdefault("HOME", str(Path.home()))
    before = threading.excepthook, sys.unraisablehook
    threading.excepthook = lambda seen: _print_error(seen.exc_value, f"{doing}, in a thread")
    # Exceptions that no caller can catch, such as those of a destructor.
    sys.unraisablehook = lambda seen: _print_error(seen.exc_value, f"{doing}, at the end of an object")
    try:
        try:
            code = work()
        except SystemExit:
            sys.stdout.flush()
            raise
        # Here, because no error can be reported after the interpreter's end.
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201 - the last line for the user
        return ExitCode.INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _drop_closed():
            return ExitCode.CLOSED
        _print_error(error, doing)
        return ExitCode.USAGE if isinstance(error, ConfigError) else failed
    finally:
        threading.excepthook, sys.unraisablehook = before
    return code


def translate(error: BaseException, doing: str) -> KinkyError:
    """Return the error for the user; an unexpected exception also gets a report in a file."""
    if isinstance(error, KinkyError):
        return error
    # An OSError class of a library may use number, path and text in its own way.
    if isinstance(error, OSError) and type(error).__module__ == "builtins" and error.errno in os_errors.OF_THE_MACHINE:
        return paths.explain(error, _find_full() if error.errno in os_errors.FULL and not error.filename else None)
    if isinstance(error, RuntimeError) and error.args == (_NO_HOME,):
        return paths.explain_no_home()
    told = f"unexpected error: {type(error).__name__}, in: {doing}"
    hint = "this is a fault of KinKy: look at the report, and send it to KinKy's maintainers"
    try:
        path = write_report(build_report(error, doing))
    except (OSError, KinkyError) as failure:
        reason = failure.message if isinstance(failure, KinkyError) else paths.explain(failure).message
        return UnexpectedError(told, details=[f"no report could be written: {reason}"], hint=hint)
    return UnexpectedError(told, details=[f"report: {path}"], hint=hint)


def build_report(error: BaseException, doing: str) -> str:
    """Return the report on an exception: the places of it and of its causes, and only the texts of KinKy's errors."""
    lines = [f"in: {doing}", f"python {sys.version.split()[0]}, {sys.platform}"]
    for place, cause in enumerate(itertools.islice(_chain(error), _CAUSES)):
        kind = f"{type(cause).__module__}.{type(cause).__qualname__}"
        lines += ["", f"caused by {kind}" if place else kind]
        lines += [f"  text: {line}" for line in str(cause).splitlines()] if isinstance(cause, KinkyError) else []
        frames = [
            f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(cause.__traceback__)
        ]
        if len(frames) > 2 * _FRAMES:
            frames[_FRAMES:-_FRAMES] = [f"  ... {len(frames) - 2 * _FRAMES} more"]
        lines += frames
    return "\n".join(lines) + "\n"


def write_report(text: str) -> Path:
    """Write a report to a private file without this machine's secrets, remove the oldest reports, return the path.

    Raises:
        OSError: It cannot be written.
        KinkyError: There is no directory for it.
    """
    from kinky.scan.clean import clean
    from kinky.scan.known import read_local

    folder = paths.reports_dir()
    secrets = []
    # Without a readable file its secrets are unknown; text that looks like a secret is still taken out.
    with contextlib.suppress(Exception):
        secrets = read_local()
    now = datetime.now(UTC)
    path = folder / f"{now:%Y%m%dT%H%M%S.%f}-{os.getpid()}-{next(_NUMBERS)}.txt"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(clean(f"{now:%Y-%m-%d %H:%M:%S} UTC\n{text}", secrets))
    for old in sorted(folder.glob("*.txt"))[:-REPORTS_KEPT]:
        old.unlink(missing_ok=True)
    return path


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, each once; also the parts of a group."""
    left, seen = [error], set[int]()
    while left:
        present = left.pop(0)
        if id(present) in seen:
            continue
        seen.add(id(present))
        yield present
        left += present.exceptions if isinstance(present, BaseExceptionGroup) else ()
        left += [cause for cause in (present.__cause__, present.__context__) if cause is not None]


def _print_error(error: BaseException | None, doing: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        if isinstance(error, Exception):
            print(translate(error, doing), file=sys.stderr, flush=True)  # noqa: T201 - as above


def _drop_closed() -> bool:
    """Tell whether an output of ours has no reader any more, and discard the rest of that output."""
    closed = [stream for stream in (sys.stdout, sys.stderr) if _is_closed(stream)]
    for stream in closed:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    return bool(closed)


def _is_closed(stream: TextIO) -> bool:
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(number, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _find_full() -> Path | None:
    """Return which of the directories that we write to is on a full file system."""
    for find in (paths.state_dir, paths.cache_dir, lambda: Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError, KinkyError):
            if shutil.disk_usage(folder := find()).free < _NO_SPACE_BYTES:
                return folder
    return None
