"""One rung that is not there: why, in a sentence, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REMAKE: Final = "pulumi refresh, then kinky up --stack {stack}"
"""Makes again what was deleted or changed past Pulumi."""


@dataclass(frozen=True)
class Step:
    """Why a node does not stand on a rung; the next step may hold {node}, {stack} and {namespace}."""

    sentence: str
    next_step: str
    evidence: tuple[str, ...] = ()
