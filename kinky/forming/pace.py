"""Whether a node that climbs is slow, or stuck, by the boots that its host has shown; purely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import ceil
from typing import Final

from kinky.forming.boots import Boot
from kinky.forming.climbs import Climb, Standing

NOISE_SECONDS: Final = 10.0
"""The clocks of three machines tell moments in whole seconds, and a look takes some more."""
STUCK_TIMES: Final = 3.0
STUCK_FLOOR_SECONDS: Final = 60.0
"""Three times a rung of two seconds is nothing that a busy host could not need."""
USUAL_SHARE: Final = 0.9
"""Nine of ten boots were as fast as what is called usual: neither the best nor the worst of them decides."""


class Word(StrEnum):
    """How fast a node is."""

    SLOW = "slow"
    """It climbs, and needs longer than usual."""
    STUCK = "stuck"
    """It stands still."""


@dataclass(frozen=True)
class Pace:
    """A node that takes longer than usual."""

    word: Word
    rung: str
    seconds: float
    usual_seconds: float

    @property
    def sentence(self) -> str:
        """The pace as it is printed."""
        usual = f"this host usually takes {self.usual_seconds:.0f} s"
        if self.word is Word.STUCK:
            return f"stuck: no progress to {self.rung} for {self.seconds:.0f} s; {usual}"
        return f"slow: {self.seconds:.0f} s on the way to {self.rung}; {usual}"


def find_pace(climb: Climb, boots: Sequence[Boot], now: datetime) -> Pace | None:
    """Find whether a node is slow or stuck; None when it is neither, and when no boot is known to compare with."""
    standing = climb.stand(now)
    if standing is None:
        return None
    usual = find_usual(climb, boots, standing.rung)
    return None if usual is None else judge(standing, usual)


def find_usual(climb: Climb, boots: Sequence[Boot], rung: str) -> float | None:
    """Find how long a rung usually takes a node of this role with this accelerator; None when no boot shows it."""
    known = sorted(
        boot.seconds[rung]
        for boot in boots
        if boot.role == climb.role and boot.accelerator == climb.accelerator and rung in boot.seconds
    )
    return known[ceil(USUAL_SHARE * len(known)) - 1] if known else None


def judge(standing: Standing, usual_seconds: float) -> Pace | None:
    """Judge the time that a node needs for a rung against the usual one."""
    if standing.still_seconds > max(STUCK_TIMES * usual_seconds, STUCK_FLOOR_SECONDS):
        return Pace(Word.STUCK, standing.rung, standing.still_seconds, usual_seconds)
    if standing.seconds > usual_seconds + NOISE_SECONDS:
        return Pace(Word.SLOW, standing.rung, standing.seconds, usual_seconds)
    return None
