"""P11: the gate is open on evidence, its wall stands as declared, and no worker waits at it."""

from __future__ import annotations

from typing import Final

from kinky.bootstrap.gate import fetch_state, fetch_tainted
from kinky.bootstrap.wall import fetch_faults
from kinky.errors import KinkyError
from kinky.status.observation import Observation, Watch
from kinky.status.target import Target

CAPABILITY: Final = "gate"


def look(target: Target) -> list[Observation]:
    """Look at the gate."""
    watch, hint = Watch(CAPABILITY, "gate"), f"kinky gate open --stack {target.stack}"
    try:
        inner = target.open_inner()
        state, faults, tainted = fetch_state(inner), fetch_faults(inner), fetch_tainted(inner)
    except KinkyError as error:
        return [watch.blind(error)]
    if faults:
        return [watch.bad("wall", f"the wall has a hole: {faults[0]}", hint=hint)]
    if not state.is_latched:
        told = f"the gate is {state.state}: {state.reason}" if state.evidence else "the gate is open without evidence"
        return [watch.bad("gate", told if state.state == "open" else f"the gate is closed: {state.reason}", hint=hint)]
    if tainted:
        return [watch.warn("tainted", f"no workload on {', '.join(tainted)} yet", hint=hint)]
    return [watch.good(f"open since {state.since}, on evidence")]
