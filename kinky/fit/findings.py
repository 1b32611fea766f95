"""The findings of the fit: problems with their hints, and warnings."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Findings:
    """Problems with their hints, and warnings, that are collected while the host is read."""

    problems: list[str] = field(default_factory=list)
    hints: dict[str, None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, problems: Sequence[str], hint: str, *, certain: bool = True) -> None:
        """Add problems of one sort with their hint; an uncertain problem becomes a warning."""
        if not certain:
            self.warnings += problems
        elif problems:
            self.problems += problems
            self.hints[hint] = None
