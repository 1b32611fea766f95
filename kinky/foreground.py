"""A person's own command in the person's own terminal, while this process does something beside it."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from kinky.errors import CommandError


def attend(argv: Sequence[str]) -> int:
    """Run the command with this terminal's input and output, and return its exit code.

    Ctrl-C reaches the command, as all programs of the terminal; this process waits for its end.

    Raises:
        CommandError: It could not start.
    """
    try:
        pid = os.posix_spawnp(argv[0], list(argv), os.environ)
    except OSError as error:
        raise CommandError(f"command could not start: {argv[0]}: {error.strerror}") from error
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _, status = os.waitpid(pid, 0)
    finally:
        signal.signal(signal.SIGINT, before)
    code = os.waitstatus_to_exitcode(status)
    # As a shell tells of a command that a signal has ended.
    return code if code >= 0 else 128 - code
