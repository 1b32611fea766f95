"""The exit codes of every command and process: one table, which docs/commands.md shows."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended; each member's text is its line of the table."""

    text: str

    def __new__(cls, code: int, text: str) -> ExitCode:
        """Make a code with its line."""
        made = int.__new__(cls, code)
        made._value_ = code
        made.text = text
        return made

    DONE = 0, "Done. A command that judges has found nothing wrong."
    WARNING = (
        1,
        "The work failed. A command that judges has a warning: it works, but not in every part or not for long.",
    )
    CRITICAL = 2, "Only of a command that judges: it does not work, or protects nothing."
    UNKNOWN = 3, "Only of a command that judges: it could not look, for example because the host did not answer."
    USAGE = 64, "The command line, the stack's name or file, or the configuration is wrong. Nothing was touched."
    INTERRUPTED = 130, "Ctrl-C."
    CLOSED = 141, "The reader of the output has ended, as with `| head`."

    FAILED = WARNING
    """The same number: no command both works and judges."""
