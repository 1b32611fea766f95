"""Several measurements of one thing, as figures."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from math import ceil
from typing import Final, TypeAlias

Figure: TypeAlias = dict[str, float | int]
"""How often something was measured, and its seconds."""
HIGH: Final = 0.95


def summarise(seconds: Sequence[float]) -> Figure:
    """Return the number of measurements, their median, their 95th percentile and the longest; at least one is needed.

    The percentile is the measurement that 95 of 100 do not exceed: of up to 19 it is the longest.
    """
    ranked = sorted(seconds)
    return {
        "runs": len(ranked),
        "median": round(statistics.median(ranked), 2),
        "p95": round(ranked[ceil(HIGH * len(ranked)) - 1], 2),
        "max": round(ranked[-1], 2),
    }
