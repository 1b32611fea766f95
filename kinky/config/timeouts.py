"""The section about patience, with its defaults."""

from __future__ import annotations

from typing import Annotated

from kinky.config.section import FREELY, Section
from kinky.config.values import Rule


class Timeouts(Section):
    """How patient KinKy is."""

    scale: Annotated[float, Rule(lambda scale: None if 0.1 <= scale <= 100 else "must be from 0.1 to 100"), FREELY] = (
        1.0
    )
    """Factor on every limit; 1.0 is sized for emulation, three times the measured times."""

    def seconds(self, limit_seconds: float) -> float:
        """Return the limit times the scale."""
        return limit_seconds * self.scale
