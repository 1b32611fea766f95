"""What was found while the host was read: problems with what helps, and warnings."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Findings:
    """Problems with their hints, and warnings, gathered while the host is read."""

    problems: list[str] = field(default_factory=list)
    hints: dict[str, None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, problems: Sequence[str], hint: str, *, certain: bool = True) -> None:
        """Add problems of one sort, and what helps; what is not certain is a warning, since it may be none."""
        if not certain:
            self.warnings += problems
        elif problems:
            self.problems += problems
            self.hints[hint] = None
