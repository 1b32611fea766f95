"""How the bench times one step, which it also announces."""

from __future__ import annotations

import time
from collections.abc import Callable

from kinky.progress import phase


def timed(title: str, work: Callable[[], object]) -> float:
    """Return the seconds that a step takes."""
    started = time.monotonic()
    with phase(title):
        work()
    return round(time.monotonic() - started, 1)
