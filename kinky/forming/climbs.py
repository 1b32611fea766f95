"""The moments of a node's boot, and the rungs between them: how long each took, and on which one the node stands.

Moments come from where they are kept: the host's objects, the guest's console, the inner Node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from kinky import names
from kinky.accelerator import Accelerator
from kinky.forming.diagnose import Stage
from kinky.keys.certificates import parse_time
from kinky.kube.connection import JsonObject
from kinky.kube.objects import fetch_condition
from kinky.kube.records import PodStatus

MADE: Final = "VM"
INSTANCE: Final = "instance"
PLACED: Final = "placed"
RUNNING: Final = "running"
FIRST_WORD: Final = "first word"
"""The first stage that a guest shows: `kernel` in a virtual machine, a later one in a container."""
REGISTERED: Final = "registered"
NOT_READY: Final = "not ready"
"""Since when a Node is not Ready: from its registration, or from a fall."""
READY: Final = "ready"

_HOST: Final = (("VM accepted", INSTANCE), ("scheduled", PLACED), ("image", "scheduled"), ("launcher", RUNNING))
_GUEST: Final = (("guest kernel", FIRST_WORD), ("data disk", "user-data"), ("credentials", "credentials"))
_INNER: Final = (("registered", REGISTERED), ("Ready", READY))
_API: Final = "API reachable"
RUNGS: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    names.CONTROL_PLANE: (*_HOST, *_GUEST, (_API, "readyz"), *_INNER),
    names.WORKER: (*_HOST, *_GUEST, (_API, "endpoint"), ("gate", "gate"), *_INNER),
}
"""Rungs of the ladder (`kinky/why/ladder.py`) by role, each with the moment at which a node stands on it."""


@dataclass(frozen=True)
class Standing:
    """The rung that a node has not reached yet, and how long it takes already."""

    rung: str
    seconds: float
    """Since the rung below was reached."""
    still_seconds: float
    """Since anything was reached at all: a rung may have several stages."""


@dataclass(frozen=True, kw_only=True)
class Climb:
    """One boot of one node."""

    node: str
    role: str
    boot: str
    """UID of the VM's instance; empty without an instance."""
    accelerator: Accelerator = Accelerator.UNKNOWN
    moments: Mapping[str, datetime] = field(default_factory=dict)
    console_kept: bool = False

    @property
    def seconds(self) -> dict[str, float]:
        """How long each rung took, as far as the moments around it are known."""
        found, below = {}, self._begin
        for rung, key in RUNGS[self.role]:
            at = self._find(key)
            if at is not None and below is not None:
                found[rung] = max(0.0, (at - below).total_seconds())
            below = at if at is None or below is None else max(at, below)
        return found

    def stand(self, now: datetime) -> Standing | None:
        """Tell the rung of the node; None for a node that is up, and if a moment below is not known."""
        rungs = RUNGS[self.role]
        reached = [self._begin, *(self._find(key) for _, key in rungs)]
        if None not in reached:
            return None
        # The begin counts as reached, so that the missing one is a rung.
        height = reached.index(None)
        if height == 0 or any(at is not None for at in reached[height:]):
            return None
        rung, key = rungs[height - 1]
        if not self.console_kept and (rung, key) not in (*_HOST, *_INNER):
            return None
        fallen = self.moments.get(NOT_READY) if key == READY else None
        below = max(at for at in (*reached[:height], fallen) if at is not None)
        last = max([below, *(at for at in self.moments.values() if at <= now)])
        return Standing(rung, max(0.0, (now - below).total_seconds()), max(0.0, (now - last).total_seconds()))

    @property
    def _begin(self) -> datetime | None:
        return self.moments.get(MADE)

    def _find(self, key: str) -> datetime | None:
        """Return a moment of this boot: a Node is older than the instance when its VM has booted again."""
        at, instance = self.moments.get(key), self.moments.get(INSTANCE)
        is_inner = key in (REGISTERED, READY)
        return None if at is None or (is_inner and instance is not None and at < instance) else at


def find_times(
    vm: JsonObject | None, vmi: JsonObject | None, pod: PodStatus | None, node: JsonObject | None
) -> Iterator[tuple[str, str]]:
    """Yield when a node reached what (RFC 3339), as the objects tell."""
    for word, body in ((MADE, vm), (INSTANCE, vmi), (REGISTERED, node)):
        made = ((body or {}).get("metadata") or {}).get("creationTimestamp")
        if made:
            yield word, str(made)
    if pod is not None and pod.scheduled_at:
        yield PLACED, pod.scheduled_at
    for each in ((vmi or {}).get("status") or {}).get("phaseTransitionTimestamps") or []:
        yield str(each.get("phase", "")).lower(), str(each.get("phaseTransitionTimestamp", ""))
    ready = fetch_condition((node or {}).get("status") or {}, "Ready") or {}
    if ready.get("lastTransitionTime"):
        yield READY if ready.get("status") == "True" else NOT_READY, str(ready["lastTransitionTime"])


def find_moments(times: Mapping[str, str], stages: Sequence[Stage]) -> dict[str, datetime]:
    """Return all moments of a boot; a guest's stages count from the start of its instance."""
    found = {key: parse_time(text) for key, text in times.items() if text}
    if RUNNING not in found:
        return found
    told = {
        stage.name: found[RUNNING] + timedelta(seconds=stage.earlier_seconds + stage.uptime_seconds)
        for stage in stages
        if stage.uptime_seconds is not None and not stage.failed
    }
    return found | told | ({FIRST_WORD: min(told.values())} if told else {})
