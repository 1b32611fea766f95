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
        lambda inner: _drain(inner, node),
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


def _drain(inner: InnerApi, node: str) -> str | Pending:
    """Evict every pod that has to go, once more, and tell which are left."""
    found = inner.fetch_nodes().get(node)
    if found is None or not found.ready:
        return f"{node} is not Ready: its pods are not evicted"
    if not found.cordoned:
        _set_cordon(inner, node, wanted=True)
    staying = [pod for pod in fetch_pods(inner, node) if not (is_of_daemon(pod) or is_mirror(pod) or is_finished(pod))]
    going = [pod for pod in staying if find_maker(pod)]
    left = [f"{describe_pod(pod)} ({_evict(inner, pod)})" for pod in going]
    if left:
        more = ", ..." if len(left) > SHOWN else ""
        return Pending(f"{len(left)} pods left on {node}: {', '.join(left[:SHOWN])}{more}")
    alone = [describe_pod(pod) for pod in staying if not find_maker(pod)]
    return f"{node} is drained" + (f"; no controller would recreate {', '.join(alone)}" if alone else "")


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
