"""An empty node before it goes: cordoned, then its pods evicted as far as their PodDisruptionBudgets allow.

Four sorts of pods are left alone. Those of DaemonSets and mirror pods belong to the node. A finished pod runs nothing.
And a pod that no controller would make again comes back with the node, but not after an eviction.
"""

from __future__ import annotations

from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.inner import InnerApi
from kinky.operations.pods import describe_pod, fetch_pods, find_maker, is_ending, is_finished, is_mirror, is_of_daemon
from kinky.operations.site import Site
from kinky.progress import Phase
from kinky.retry import Pending

DRAIN_LIMIT_SECONDS = 300.0
"""Ten times the 30 s that a pod has by default to end; budgets may let the pods go one after the other only."""
SHOWN = 5


def drain(site: Site, node: str, running: Phase) -> str:
    """Cordon a node and evict its pods; a node that is not Ready is left as it is, because nothing there would end.

    Raises:
        WaitError: Pods are left at the deadline; it names each one, and why its eviction was refused.
    """
    return site.reach.ask(
        f"{node} is drained",
        Drain(node).look,
        limit_seconds=site.scale(DRAIN_LIMIT_SECONDS),
        on_change=running.note,
        hint="a PodDisruptionBudget may allow no disruption (kubectl get pdb -A): add replicas or change it;"
        " the same command continues from here",
    )


def uncordon(site: Site, node: str) -> str:
    """Let pods onto a node again."""

    def open_up(inner: InnerApi) -> str:
        _set_cordon(inner, node, wanted=False)
        return f"{node} takes pods again"

    return site.reach.ask(
        f"{node} takes pods again", open_up, limit_seconds=site.scale(DRAIN_LIMIT_SECONDS), hint="kubectl uncordon"
    )


class Drain:
    """The pods that were on a node when it was cordoned, and whether they are gone.

    A pod that comes later tolerates the cordon. It would come back after each eviction.
    """

    def __init__(self, node: str) -> None:
        """Look at nothing yet."""
        self._node = node
        self._meant: set[str] | None = None

    def look(self, inner: InnerApi) -> str | Pending:
        """Cordon the node, evict every pod that has to go, and tell which are left."""
        node = inner.fetch_nodes().get(self._node)
        if node is None or not node.ready:
            return f"{self._node} is not Ready: its pods are not evicted"
        if not node.cordoned:
            _set_cordon(inner, self._node, wanted=True)
        pods = [pod for pod in fetch_pods(inner, self._node) if not _belongs_here(pod)]
        if self._meant is None:
            self._meant = {pod["metadata"]["uid"] for pod in pods if find_maker(pod)}
        going = [pod for pod in pods if pod["metadata"]["uid"] in self._meant]
        left = [f"{describe_pod(pod)} ({_evict(inner, pod)})" for pod in going]
        if left:
            more = ", ..." if len(left) > SHOWN else ""
            return Pending(f"{len(left)} pods left on {self._node}: {', '.join(left[:SHOWN])}{more}")
        alone = [describe_pod(pod) for pod in pods if not find_maker(pod)]
        return f"{self._node} is drained" + (f"; no controller would recreate {', '.join(alone)}" if alone else "")


def _belongs_here(pod: JsonObject) -> bool:
    return is_of_daemon(pod) or is_mirror(pod) or is_finished(pod)


def _evict(inner: InnerApi, pod: JsonObject) -> str:
    """Ask for the eviction of a pod that is not ending yet, and tell what became of it."""
    if is_ending(pod):
        return "ends"
    metadata = pod["metadata"]
    refused = inner.evict(str(metadata["name"]), namespace=str(metadata["namespace"]), uid=str(metadata["uid"]))
    return f"refused: {refused}" if refused else "ends"


def _set_cordon(inner: InnerApi, node: str, *, wanted: bool) -> None:
    # A merge patch removes what is null, as `kubectl uncordon` does.
    inner.patch(resources.NODES, node, {"spec": {"unschedulable": True if wanted else None}})
