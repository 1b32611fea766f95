"""Pods that are made again, so that they start with the authorities of now and a token of the key that signs.

A program inside a pod may read its `ca.crt` once, at its start; its token the kubelet renews within an hour only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from kinky.bootstrap.rotation.journal import Journal
from kinky.bootstrap.rotation.plan import SubStep
from kinky.bootstrap.rotation.site import Site
from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.inner import InnerApi
from kinky.kube.objects import is_condition_true
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
            noted.update({pod["metadata"]["uid"]: _find_maker(pod) for pod in self._list_readers(inner)})
            return "seen"

        if self._journal.recall(self._step) is None:
            self._site.ask("lists its pods", remember)
        old = self._journal.remember(self._step, noted)
        return self._site.ask(
            f"runs new pods on {self._node}",
            lambda inner: self._check(inner, old),
            limit_seconds=LIMIT_SECONDS,
            on_change=running.note,
        )

    def _check(self, inner: InnerApi, old: Mapping[str, str]) -> str | Pending:
        """Delete what is left of the old pods, and look what is not there again."""
        pods = self._list_readers(inner)
        left = [pod for pod in pods if pod["metadata"]["uid"] in old]
        for pod in left:
            if _find_maker(pod) and "deletionTimestamp" not in pod["metadata"]:
                inner.delete(resources.PODS, pod["metadata"]["name"], namespace=pod["metadata"]["namespace"])
        alone = [_describe(pod) for pod in left if not _find_maker(pod)]
        if alone:
            return Pending(f"delete these yourself, nothing would make them again: {', '.join(alone)}")
        waiting = [_describe(pod) for pod in pods if pod in left or not _runs(pod)]
        # What another kind has made may come back on another node, and is as new there.
        daemons = {maker for maker in old.values() if maker.startswith(f"{resources.DAEMON_SETS.kind} ")}
        waiting += sorted(daemons - {_find_maker(pod) for pod in pods})
        if waiting:
            return Pending(f"{self._node}: not there again: {', '.join(waiting)}")
        return f"{len(old)} pods of {self._node} are new"

    def _list_readers(self, inner: InnerApi) -> list[JsonObject]:
        """List the node's pods that have authorities and token in a volume; those of the kubelet itself have none."""
        pods = inner.fetch_all(resources.PODS, fields=f"spec.nodeName={self._node}")
        return [
            pod
            for pod in pods
            if (pod.get("spec") or {}).get("nodeName") == self._node
            and (self._namespaces is None or pod["metadata"]["namespace"] in self._namespaces)
            and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
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
        what: What the new pods start with, in words.
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


def _find_maker(pod: JsonObject) -> str:
    """Find what makes a new pod when this one is gone; empty when nothing does."""
    metadata = pod["metadata"]
    owners = [owner for owner in metadata.get("ownerReferences") or [] if owner.get("controller")]
    return next((f"{owner['kind']} {metadata['namespace']}/{owner['name']}" for owner in owners), "")


def _runs(pod: JsonObject) -> bool:
    return is_condition_true(pod.get("status") or {}, "Ready")


def _describe(pod: JsonObject) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
