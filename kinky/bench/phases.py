"""The phases of `up` as one clock sees them: when Pulumi reported each resource that ends a phase."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final

ENDS: Final = {
    "vmsCreated": ":VirtualMachine",
    "apiOutside200": ":OutsideReady",
    "nodesReady": ":NodesReady",
    "storeReady": ":GateOpened",
    "workloadAnswered": ":WorkloadAnswered",
}
"""Phase to the end of the resource type whose last report ends it."""


@dataclass
class PhaseClock:
    """Seconds from the start of `up` to the end of each phase; `see` is Pulumi's event callback."""

    started: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    def see(self, event: Any) -> None:
        """Note the time of a resource's outputs; a phase with several resources ends with the last of them."""
        outputs = getattr(event, "res_outputs_event", None)
        if outputs is None:
            return
        for phase, ending in ENDS.items():
            if outputs.metadata.type.endswith(ending):
                self.seconds[phase] = round(time.monotonic() - self.started, 1)
