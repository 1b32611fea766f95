"""P11: the gate is open on evidence, its wall stands as declared, and no worker waits at it."""

from __future__ import annotations

from typing import Final

from kinky.errors import KinkyError
from kinky.findings import Severity
from kinky.gate.gate import check_state, fetch_state, fetch_tainted
from kinky.gate.wall import check_wall
from kinky.status.observation import Observation, Watch
from kinky.status.target import Target

CAPABILITY: Final = "gate"


def look(target: Target) -> list[Observation]:
    """Look at the gate."""
    watch, hint = Watch(CAPABILITY, "gate"), f"kinky gate open --stack {target.stack}"
    try:
        inner = target.reach.inner()
        state, holes, tainted = fetch_state(inner), check_wall(inner), fetch_tainted(inner)
    except KinkyError as error:
        return [watch.blind(error)]
    if holes:
        return [watch.bad("wall", f"the wall has a hole: {holes[0].sentence}", hint=hint)]
    for finding in check_state(state):
        see = watch.warn if finding.severity is Severity.WARNING else watch.bad
        return [see("gate", finding.sentence, hint=hint)]
    if tainted:
        return [watch.warn("tainted", f"no workload on {', '.join(tainted)} yet", hint=hint)]
    return [watch.good(f"open since {state.since}, on evidence")]
