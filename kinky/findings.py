"""One word for everything that a look finds, with the table from severity to exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kinky.exit_codes import ExitCode


class Severity(StrEnum):
    """How bad a finding is, from the mildest."""

    FINE = "fine"
    WARNING = "warning"
    """It works, and will not for ever; or a part of it does not."""
    UNKNOWN = "unknown"
    """It could not be looked at."""
    CRITICAL = "critical"
    """It does not work, or protects nothing."""


EXIT_CODES: Final[Mapping[Severity, ExitCode]] = {
    Severity.FINE: ExitCode.DONE,
    Severity.WARNING: ExitCode.WARNING,
    Severity.CRITICAL: ExitCode.CRITICAL,
    Severity.UNKNOWN: ExitCode.UNKNOWN,
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a look has found; nothing of it is secret."""

    code: str
    """Stable name for scripts, such as `gate.closed`."""
    severity: Severity
    subject: str
    """The object that it is about, as the subject of a sentence."""
    seen: str
    """The rest of that sentence, such as `is not there`."""
    hint: str = ""
    """One step that helps, or what it means for the user."""

    @property
    def sentence(self) -> str:
        """Subject and what was seen, for the details of an error."""
        return f"{self.subject} {self.seen}"

    def __str__(self) -> str:
        """Return the line that a command prints."""
        return f"{self.severity.upper()}: {self.sentence}" + (f"; {self.hint}" if self.hint else "")


def get_exit_code(findings: Iterable[Finding]) -> ExitCode:
    """Return the exit code for the worst finding; 0 without findings."""
    ranks = list(Severity)
    worst = max((finding.severity for finding in findings), key=ranks.index, default=Severity.FINE)
    return EXIT_CODES[worst]
