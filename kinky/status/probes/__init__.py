"""The probes: one module for each capability, and the table of how often and how long each looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from kinky.status.observation import Observation
from kinky.status.probes import (
    api,
    certificates,
    clock,
    dns,
    etcd,
    gate,
    host,
    nodes,
    planes,
    scheduling,
    service,
    store,
    write,
)
from kinky.status.target import Target


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One way to look at one capability."""

    capability: str
    look: Callable[[Target], list[Observation]]
    every_seconds: float
    """How often `--watch` looks."""
    limit_seconds: float
    """After this time nobody waits for the look."""
    confirm: int = 1
    """How many looks in a row must be worse before `--watch` says so."""
    deep: bool = False
    """Whether it looks only with --deep: it starts pods or writes values, and takes up to a minute."""

    @property
    def age_seconds(self) -> float:
        """The age up to which a look counts: two rounds of waiting and looking."""
        return 2 * (self.every_seconds + self.limit_seconds)


PROBES: Final[Mapping[str, Probe]] = {
    "api": Probe(capability="api", look=api.look, every_seconds=2, limit_seconds=5, confirm=2),
    "api-inside": Probe(capability="api", look=api.look_inside, every_seconds=5, limit_seconds=5),
    "planes": Probe(capability="api", look=planes.look, every_seconds=10, limit_seconds=10, confirm=2),
    "write": Probe(capability="write", look=write.look, every_seconds=10, limit_seconds=5, confirm=2),
    "service": Probe(capability="service", look=service.look, every_seconds=2, limit_seconds=10, confirm=2),
    "service-inside": Probe(capability="service", look=service.look_inside, every_seconds=5, limit_seconds=5),
    "nodes": Probe(capability="nodes", look=nodes.look, every_seconds=30, limit_seconds=10),
    "nodes-inside": Probe(capability="nodes", look=nodes.look_inside, every_seconds=30, limit_seconds=10),
    "dns": Probe(capability="dns", look=dns.look, every_seconds=10, limit_seconds=10, confirm=2),
    "etcd": Probe(capability="etcd", look=etcd.look, every_seconds=10, limit_seconds=10, confirm=2),
    "certificates": Probe(capability="certificates", look=certificates.look, every_seconds=3600, limit_seconds=10),
    "store": Probe(capability="store", look=store.look, every_seconds=60, limit_seconds=10),
    "clock": Probe(capability="clock", look=clock.look, every_seconds=60, limit_seconds=5),
    "gate": Probe(capability="gate", look=gate.look, every_seconds=30, limit_seconds=10),
    "host": Probe(capability="host", look=host.look, every_seconds=10, limit_seconds=5),
    "store-trip": Probe(capability="store", look=store.look_deep, every_seconds=60, limit_seconds=60, deep=True),
    "scheduling": Probe(capability="scheduling", look=scheduling.look, every_seconds=60, limit_seconds=50, deep=True),
}
"""By name; two probes may look at one capability."""
CAPABILITIES: Final = tuple(dict.fromkeys(probe.capability for probe in PROBES.values()))


def choose(capabilities: list[str], *, deep: bool) -> dict[str, Probe]:
    """Return the probes for these capabilities, or for all; and the host, as we may see nothing without it."""
    return {
        name: probe
        for name, probe in PROBES.items()
        if (deep or not probe.deep or (probe.capability == name and name in capabilities))
        and (not capabilities or probe.capability in capabilities or probe.capability == host.CAPABILITY)
    }
