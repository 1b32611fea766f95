"""Names of the values that the program itself keeps in the secrets store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig


CANARY_VALUE: Final = "canary"
CANARY_KEY: Final = "nonce"
WORKLOAD_VALUE: Final = "message"
WORKLOAD_KEY: Final = "message"
UNKNOWN_VALUE: Final = "unknown"
"""Name that the reader may read and that nobody ever writes: what the store says of it is the gate's evidence."""
PROGRAM_VALUES: Final = (CANARY_VALUE, WORKLOAD_VALUE, UNKNOWN_VALUE)
"""Names of values that the program makes, so that no admin's value can stand in their place."""


def store_values(cfg: KinkyConfig) -> tuple[str, ...]:
    """Return the names of the values that the program makes and the inner cluster may read."""
    return (CANARY_VALUE, *((WORKLOAD_VALUE,) if cfg.workload.enabled else ()))
