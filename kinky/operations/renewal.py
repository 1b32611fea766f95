"""Pods that are made again, so that they start with the CAs of now and a token of the key that signs.

A program inside a pod may read its `ca.crt` once, at its start; its token the kubelet renews within an hour only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.inner import InnerApi
from kinky.operations.journal import Journal
from kinky.operations.plan import SubStep
from kinky.operations.pods import describe_pod, fetch_pods, find_maker, is_finished, is_ready
from kinky.operations.site import Site
from kinky.progress import Phase
from kinky.retry import Pending

ROOT_CONFIG_MAP = "kube-root-ca.crt"
"""In each namespace what pods get as `ca.crt`, in one volume with their token; the controller-manager writes it."""
LIMIT_SECONDS = 600.0
"""A pod is Running again after some seconds, under emulation after a minute."""


class Renewal:
    """Replaces the pods of one node that have read what they were given before, and waits until others run.

    A pod that nothing would bring back is not touched: it is waited for, and named.
    """

    def __init__(
        self, site: Site, journal: Journal, step: str, node: str, *, namespaces: Collection[str] | None
    ) -> None:
        """Do nothing yet; `step` is the name under which the journal keeps which pods are meant."""
        self._site = site
        self._journal = journal
        self._step = step
        self._node = node
        self._namespaces = namespaces

    def __call__(self, running: Phase) -> str:
        """Replace the pods, or go on with that; raises KinkyError when others do not run in time."""
        noted: dict[str, str] = {}

        def remember(inner: InnerApi) -> str:
            noted.update({pod["metadata"]["uid"]: find_maker(pod) for pod in self._list_readers(inner)})
            return "seen"

        if self._journal.recall(self._step) is None:
            self._ask("lists its pods", remember)
        old = self._journal.remember(self._step, noted)
        return self._ask(
            f"runs new pods on {self._node}",
            lambda inner: self._check(inner, old),
            on_change=running.note,
        )

    def _ask(
        self,
        what: str,
        question: Callable[[InnerApi], str | Pending],
        *,
        on_change: Callable[[str], None] | None = None,
    ) -> str:
        limit = self._site.scale(LIMIT_SECONDS)
        return self._site.reach.ask(what, question, limit_seconds=limit, on_change=on_change)

    def _check(self, inner: InnerApi, old: Mapping[str, str]) -> str | Pending:
        """Delete what is left of the old pods, and look what is not there again."""
        pods = self._list_readers(inner)
        left = [pod for pod in pods if pod["metadata"]["uid"] in old]
        for pod in left:
            if find_maker(pod) and "deletionTimestamp" not in pod["metadata"]:
                inner.delete(resources.PODS, pod["metadata"]["name"], namespace=pod["metadata"]["namespace"])
        alone = [describe_pod(pod) for pod in left if not find_maker(pod)]
        if alone:
            return Pending(f"delete these yourself, nothing would make them again: {', '.join(alone)}")
        waiting = [describe_pod(pod) for pod in pods if pod in left or not is_ready(pod)]
        # The pod of another kind may come back on another node, and is new there too.
        daemons = {maker for maker in old.values() if maker.startswith(f"{resources.DAEMON_SETS.kind} ")}
        waiting += sorted(daemons - {find_maker(pod) for pod in pods})
        if waiting:
            return Pending(f"{self._node}: not there again: {', '.join(waiting)}")
        return f"{len(old)} pods of {self._node} are new"

    def _list_readers(self, inner: InnerApi) -> list[JsonObject]:
        """List the node's pods that have CAs and token in a volume; those of the kubelet itself have none."""
        return [
            pod
            for pod in fetch_pods(inner, self._node)
            if (self._namespaces is None or pod["metadata"]["namespace"] in self._namespaces)
            and not is_finished(pod)
            and ROOT_CONFIG_MAP in _list_projected(pod["spec"].get("volumes") or [])
        ]


def build_renewals(
    site: Site,
    journal: Journal,
    nodes: Sequence[str],
    *,
    round_name: str,
    what: str,
    namespaces: Collection[str] | None = None,
) -> list[SubStep]:
    """Build one sub-step for each node, in this order; nodes themselves do not restart.

    Args:
        round_name: First part of the sub-steps' names.
        what: The new content that the pods start with, in words.
        namespaces: Whose pods are replaced; None means all.
    """
    steps = []
    for node in nodes:
        name = f"{round_name}/{node}"
        steps.append(
            SubStep(
                name=name,
                title=f"pods of {node} start with {what}",
                run=Renewal(site, journal, name, node, namespaces=namespaces),
                limit_seconds=site.scale(LIMIT_SECONDS),
            )
        )
    return steps


def _list_projected(volumes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the names of the ConfigMaps in a pod's projected volumes."""
    for volume in volumes:
        for source in (volume.get("projected") or {}).get("sources") or []:
            yield str((source.get("configMap") or {}).get("name", ""))
