"""Nodes while they climb: reads how far each is, says which is slow or stuck, and notes boots that went well."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from kinky import names
from kinky.accelerator import Accelerator
from kinky.errors import KinkyError
from kinky.forming.boots import note_boots, read_boots
from kinky.forming.climbs import RUNGS, Climb, find_moments, find_times
from kinky.forming.diagnose import CONSOLE_TAIL, parse_stages
from kinky.forming.pace import Word, find_pace
from kinky.forming.requirements import Clock, read_clock
from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.host import CONSOLE_CONTAINER, LAUNCHER_LABEL, HostApi
from kinky.reach.reach import Reach

EVERY_SECONDS: Final = 15.0
"""A look reads each node's console, and nobody is stuck before a minute."""


class Climbers:
    """The nodes of one wait."""

    def __init__(self, reach: Reach, nodes: Collection[str], *, has_inner: bool, clock: Clock = read_clock) -> None:
        """Look at nothing yet.

        Args:
            has_inner: Whether the inner API answers, so that it can be asked for the Nodes.
        """
        self._reach = reach
        self._nodes = nodes
        self._has_inner = has_inner
        self._clock = clock
        self._boots = read_boots(reach.access)
        self._next = clock() + EVERY_SECONDS
        self._told: dict[str, tuple[Word, str]] = {}

    def tell_changes(self) -> list[str]:
        """Say which nodes have become slow or stuck since the last look; looks rarely, and never fails."""
        # Without boots to compare with, no look would say anything.
        if not self._boots or self._clock() < self._next:
            return []
        self._next = self._clock() + EVERY_SECONDS
        before = dict(self._told)
        found = self._look()
        return [text for node, text in found.items() if self._told[node] != before.get(node)]

    def describe(self) -> list[str]:
        """Say which nodes are slow or stuck now."""
        return list(self._look().values()) if self._boots else []

    def note_boots(self) -> None:
        """Keep how long the rungs took, after all nodes came up."""
        with suppress(KinkyError):
            note_boots(self._reach.access, list(self._fetch()))

    def _look(self) -> dict[str, str]:
        found = {}
        with suppress(KinkyError):
            for climb in self._fetch():
                pace = find_pace(climb, self._boots, datetime.now(UTC) - self._reach.host().clock_ahead)
                if pace is not None:
                    self._told[climb.node] = (pace.word, pace.rung)
                    found[climb.node] = f"{climb.node} is {pace.sentence}"
        return found

    def _fetch(self) -> Iterator[Climb]:
        host = self._reach.host()
        selector = names.cluster_selector(self._reach.cluster)
        vms = _by_name(host.fetch_all_here(resources.VIRTUAL_MACHINES, selector=selector))
        nodes = _by_name(self._reach.inner().fetch_all(resources.NODES)) if self._has_inner else {}
        for name in self._nodes:
            vm = vms.get(name)
            if vm is not None and vm["metadata"]["labels"].get(names.LABEL_ROLE) in RUNGS:
                yield _fetch_climb(host, name, vm, nodes.get(name))


def _fetch_climb(host: HostApi, name: str, vm: JsonObject, node: JsonObject | None) -> Climb:
    vmi = host.fetch_here(resources.VIRTUAL_MACHINE_INSTANCES, name)
    pod = next(iter(host.fetch_pods(f"{names.LABEL_NODE}={name},{LAUNCHER_LABEL}")), None)
    logged = pod.name if pod and CONSOLE_CONTAINER in pod.containers else ""
    console = host.fetch_log(logged, CONSOLE_CONTAINER, tail_lines=CONSOLE_TAIL) if logged else ""
    return Climb(
        node=name,
        role=str(vm["metadata"]["labels"][names.LABEL_ROLE]),
        boot=str(((vmi or {}).get("metadata") or {}).get("uid") or ""),
        accelerator=pod.accelerator if pod else Accelerator.UNKNOWN,
        moments=find_moments(dict(find_times(vm, vmi, pod, node)), parse_stages(console)),
        console_kept=bool(logged),
    )


def _by_name(bodies: list[JsonObject]) -> dict[str, JsonObject]:
    return {str(body["metadata"]["name"]): body for body in bodies}
