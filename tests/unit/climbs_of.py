"""Boots as tests need them: a node that climbs a rung every ten seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kinky import names
from kinky.accelerator import Accelerator
from kinky.forming.boots import Boot
from kinky.forming.climbs import MADE, RUNGS, Climb

BEGIN = datetime(2026, 12, 1, 6, 0, 0, tzinfo=UTC)
STEP = 10.0


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def climb(*, role: str = names.WORKER, height: int | None = None, boot: str = "u", console: bool = True) -> Climb:
    """Return a boot that stands on so many rungs; without a number, on all."""
    keys = [MADE, *(key for _, key in RUNGS[role])][: None if height is None else height + 1]
    moments = {key: at(STEP * number) for number, key in enumerate(keys)}
    return Climb(
        node="dev-worker-0",
        role=role,
        boot=boot,
        accelerator=Accelerator.CONTAINER,
        moments=moments,
        console_kept=console,
    )


def boots(*seconds: float, rung: str = "data disk", role: str = names.WORKER) -> tuple[Boot, ...]:
    """Return boots in which a rung took so long."""
    return tuple(
        Boot(boot=f"u{number}", role=role, accelerator=Accelerator.CONTAINER.value, seconds={rung: taken})
        for number, taken in enumerate(seconds)
    )
