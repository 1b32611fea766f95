"""The cluster that an operation changes, in plain values: a command builds it, and so can a live step."""

from __future__ import annotations

from dataclasses import dataclass

from kinky.kube.host import HostApi
from kinky.reach.reach import Reach


@dataclass(frozen=True, kw_only=True)
class Site:
    """One living cluster, and the nodes that were declared for it."""

    reach: Reach
    control_planes: tuple[str, ...]
    """Names of the control planes, in the order in which they are replaced."""
    workers: tuple[str, ...]
    """Names of the workers, in the order in which they are replaced."""
    is_ephemeral: bool = False
    """Whether etcd goes with its control plane."""
    time_scale: float = 1.0
    """Factor on every limit."""

    @property
    def host(self) -> HostApi:
        """The host's API."""
        return self.reach.host()

    @property
    def cluster(self) -> str:
        """Name of the inner cluster."""
        return self.reach.cluster

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of all nodes, in the order in which they are replaced."""
        return (*self.control_planes, *self.workers)

    def scale(self, seconds: float) -> float:
        """Return a limit as this stack's `timeouts.scale` wants it."""
        return seconds * self.time_scale
