"""The cluster whose keys are rotated: how it is reached, its nodes, and whether it is fit for a rotation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kinky import names
from kinky.bootstrap.fit_rights import PORT_FORWARD_VERBS
from kinky.bootstrap.gate import fetch_state
from kinky.bootstrap.reach import Reach
from kinky.bootstrap.rotation.journal import fetch_all_progress
from kinky.bootstrap.stores.opening import describe_store, open_store
from kinky.bootstrap.stores.store import Store
from kinky.bootstrap.wall import fetch_faults
from kinky.config.model import KinkyConfig
from kinky.errors import HostError, WaitError
from kinky.kube import resources
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.retry import Pending
from kinky.topology.nodes import build_nodes, control_planes, workers

INNER_LIMIT_SECONDS = 300.0
"""A control plane that was replaced by somebody else is back after five minutes under emulation."""
ANSWER_LIMIT_SECONDS = 30.0
"""What is not half done is started only on a cluster that answers; the forward may first have to come back."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """One cluster, and its two APIs."""

    config: KinkyConfig
    reach: Reach
    drop_now: bool = False
    """Whether the operator wants an old key dropped although it may still be needed."""

    @property
    def host(self) -> HostApi:
        """The host's API."""
        return self.reach.host()

    @property
    def cluster(self) -> str:
        """Name of the inner cluster."""
        return self.config.cluster.name

    @property
    def control_planes(self) -> tuple[str, ...]:
        """Names of the control planes, in the order in which they are replaced."""
        return tuple(node.name for node in control_planes(build_nodes(self.config)))

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers, in the order in which they are replaced."""
        return tuple(node.name for node in workers(build_nodes(self.config)))

    @property
    def store(self) -> Store:
        """The cluster's secrets store."""
        return open_store(describe_store(self.config), self.reach)

    def open_inner(self) -> InnerApi:
        """Return the inner API; again for each question, because credential and forward may end in a long rotation."""
        return self.reach.inner()

    def ask(
        self,
        what: str,
        question: Callable[[InnerApi], str | Pending],
        *,
        limit_seconds: float = INNER_LIMIT_SECONDS,
        on_change: Callable[[str], None] | None = None,
    ) -> str:
        """Ask the inner API until it answers otherwise than `Pending`; one that does not answer now is waited for."""
        return self.reach.ask(what, question, limit_seconds=self.scale(limit_seconds), on_change=on_change)

    def scale(self, seconds: float) -> float:
        """Return a limit as this stack's `timeouts.scale` wants it."""
        return self.config.timeouts.seconds(seconds)


def check_site(
    site: Site, item: str, *, needs_windows: bool = False, find_more: Callable[[Site], list[str]] = lambda _site: []
) -> None:
    """Refuse a rotation before anything is touched; raises HostError with everything that stands against it.

    One that is half done goes on whatever the nodes look like: that it was cut off may be why they look so.

    Args:
        needs_windows: Whether nodes are asked one by one, through forwards to their pods.
        find_more: Finds what stands against this item alone, on a cluster that answers.
    """
    progress = fetch_all_progress(site.host, site.cluster)
    others = [name for name, each in progress.items() if name != item and each.is_half_done and not each.waits_until]
    if others:
        raise HostError(
            f"rotation of {item}: the one of {others[0]} is half done, at sub-step {progress[others[0]].step}",
            hint=f"finish it first: kinky rotate {others[0]}",
        )
    # Also of one that goes on: without it each wait for a proof would last until its limit.
    missing = [
        verb
        for verb in PORT_FORWARD_VERBS
        if needs_windows and not site.host.is_allowed(verb, resources.PODS, subresource="portforward")
    ]
    if missing:
        verbs = ", ".join(missing)
        raise HostError(
            f"rotation of {item}: your account is not allowed to {verbs} pods/portforward in namespace"
            f" {site.host.namespace} of the host; nothing was touched",
            hint=f"ask for that right there (verb {verbs}, resource pods/portforward), then call it again",
        )
    if item in progress and progress[item].is_half_done and not progress[item].waits_until:
        return
    faults = [*_find_missing_vms(site), *_find_inner_faults(site)]
    faults += [] if faults else find_more(site)
    if faults:
        raise HostError(
            f"rotation of {item}: cluster {site.cluster} is not fit for it; nothing was touched",
            details=faults,
            hint="kinky up brings nodes back; kinky gate show tells about the gate",
        )


def _find_missing_vms(site: Site) -> list[str]:
    """Describe the declared nodes that have no VM."""
    found = site.host.fetch_vms(names.cluster_selector(site.cluster))
    return [f"{node}: there is no VM" for node in (*site.control_planes, *site.workers) if node not in found]


def _find_inner_faults(site: Site) -> list[str]:
    """Describe what the inner API shows to be wrong: the gate, and nodes that are not Ready."""
    try:
        site.ask("its API answers", lambda inner: inner.fetch_version(), limit_seconds=ANSWER_LIMIT_SECONDS)
    except WaitError as error:
        return [error.message, *error.details]
    inner = site.open_inner()
    state = fetch_state(inner)
    faults = fetch_faults(inner)
    if not state.is_latched:
        faults.append(f"the gate is {state.state}: {state.reason}" + ("" if state.evidence else ", without evidence"))
    nodes = inner.fetch_nodes()
    for name in (*site.control_planes, *site.workers):
        if name not in nodes:
            faults.append(f"{name}: the node is not registered")
        elif not nodes[name].ready:
            faults.append(f"{name}: the node is not Ready: {nodes[name].reason}")
    return faults
