"""Verdicts over time for `--watch`: one bad look may be chance, and one good look is no recovery."""

from __future__ import annotations

from dataclasses import dataclass, field

from kinky.status.judgement import RANK, Verdict, Word

RECOVERY: int = 3
"""Good looks in a row that make a recovery."""


@dataclass
class Steady:
    """The verdict that is shown for each capability, and how many looks in a row have said another one."""

    shown: dict[str, Verdict] = field(default_factory=dict)
    _waiting: dict[str, tuple[Word, int, str]] = field(default_factory=dict)

    def feed(self, verdict: Verdict, *, confirm: int) -> Verdict | None:
        """Take a new verdict; return it when what is shown changes.

        Args:
            confirm: Looks in a row that make a worse verdict.
        """
        name, before = verdict.capability, self.shown.get(verdict.capability)
        if before is None or (before.word is verdict.word and before.disagree == verdict.disagree):
            self._waiting.pop(name, None)
            self.shown[name] = verdict
            return verdict if before is None else None
        look = verdict.outside.at + str(verdict.outside.latency_ms)
        word, count, last = self._waiting.get(name, (verdict.word, 0, ""))
        # The same look, judged again because another one has come, counts once.
        count = (count if word is verdict.word else 0) + (look != last or word is not verdict.word)
        self._waiting[name] = (verdict.word, count, look)
        better = RANK[verdict.word] < RANK[before.word]
        if count < (RECOVERY if better else confirm):
            return None
        self._waiting.pop(name)
        self.shown[name] = verdict
        return verdict
