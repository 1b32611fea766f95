"""Errors that a user is meant to read; anything else that reaches the terminal is a bug in KinKy.

- KinkyError
- KinkyError > ConfigError: the command line or the configuration is not usable; nothing has been touched
- KinkyError > HostError: the host cluster, or the machine it runs on, cannot do what was asked
- KinkyError > CommandError: a program that KinKy ran failed
- KinkyError > WaitError: something did not come true in time
- KinkyError > WaitError > InterruptedWaitError: the user asked for an end while something was waited for
"""

from __future__ import annotations

from collections.abc import Sequence


class KinkyError(Exception):
    """A failure told in full: what failed, the details, and one step that helps."""

    def __init__(self, message: str, *, details: Sequence[str] = (), hint: str | None = None) -> None:
        """Keep the parts; `details` are lines without indentation."""
        super().__init__(message)
        self.message = message
        self.details = tuple(details)
        self.hint = hint

    def __str__(self) -> str:
        """Return everything, because Pulumi shows only this text and drops notes and causes."""
        lines = [self.message]
        for detail in self.details:
            lines.extend(f"  {line}" for line in detail.splitlines())
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        """Let copies and other processes rebuild the error with its keyword-only parts."""
        return (_rebuild, (type(self), self.message, self.details, self.hint))


def _rebuild(kind: type[KinkyError], message: str, details: Sequence[str], hint: str | None) -> KinkyError:
    return kind(message, details=details, hint=hint)


class ConfigError(KinkyError):
    """The command line or the configuration is not usable; nothing has been touched."""


class HostError(KinkyError):
    """The host cluster, or the machine it runs on, cannot do what was asked."""


class CommandError(KinkyError):
    """A program that KinKy ran failed, could not start, or took too long."""


class WaitError(KinkyError):
    """Something that was waited for did not come true before its deadline."""


class InterruptedWaitError(WaitError):
    """The user asked for an end while something was waited for; what is waited for may come true all the same."""
