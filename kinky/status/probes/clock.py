"""P9: the clocks of both APIs against this machine's, by the header Date of their answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from kinky.errors import KinkyError
from kinky.status.observation import Observation, Watch
from kinky.status.target import Target

CAPABILITY: Final = "clock"
WARNING_SECONDS: Final = 2.0
CRITICAL_SECONDS: Final = 5.0
ROUNDING: Final = timedelta(seconds=0.5)
"""A Date has whole seconds, so a right clock seems to be half a second behind on average."""
HINT: Final = "compare this machine's clock with a time server; then the host's: docs/status.md, clock"


def look(target: Target) -> list[Observation]:
    """Look at both clocks."""

    def ask_host() -> timedelta:
        target.host.fetch_version()
        return target.host.clock_ahead

    def ask_inner() -> timedelta:
        inner = target.reach.inner()
        inner.fetch_version()
        return inner.clock_ahead

    seen = [_look("API of the host", ask_host), _look("inner API", ask_inner)]
    return [_blame_ourselves(each, seen) for each in seen]


def _look(what: str, ask: Callable[[], timedelta]) -> Observation:
    watch = Watch(CAPABILITY, what)
    try:
        ahead = ask()
    except KinkyError as error:
        return watch.blind(error)
    off = -(ahead - ROUNDING if ahead else ahead).total_seconds()
    told = f"the clock of the {what} is {off:+.1f} s off ours"
    facts = {"off": f"{off:.1f}"}
    if abs(off) > CRITICAL_SECONDS:
        return watch.bad("clock", told, hint=HINT, facts=facts)
    return watch.warn("clock", told, hint=HINT, facts=facts) if abs(off) > WARNING_SECONDS else watch.good(told)


def _blame_ourselves(seen: Observation, all_seen: list[Observation]) -> Observation:
    """Say that it is this machine's clock when both others agree with each other and not with it."""
    offs = [float(each.facts["off"]) for each in all_seen if "off" in each.facts]
    if len(offs) < len(all_seen) or abs(offs[0] - offs[1]) > WARNING_SECONDS:
        return seen
    watch = Watch(CAPABILITY, "this machine")
    told = f"this machine's clock is {-offs[0]:+.1f} s off both APIs"
    return watch.see(seen.state, "own-clock", told, hint=HINT)
