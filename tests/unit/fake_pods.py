"""Pods of a fake cluster, and the tokens that they have read: whether each API server accepts them.

What keeps its token is taken to keep it until it is made again: the kubelet renews one within an hour only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from kinky.operations.renewal import ROOT_CONFIG_MAP
from tests.unit.fake_cluster import FakeCluster

SYSTEM = "/api/v1/namespaces/kube-system"


def add_pod(cluster: FakeCluster, node: str) -> str:
    """Add a node's pod of a DaemonSet, another one at each call; returns its path."""
    name = f"flannel-{node}"
    cluster.inner.add(
        f"{SYSTEM}/pods",
        name,
        metadata={
            "uid": f"pod-{len(cluster.inner.calls)}-{node}",
            "ownerReferences": [{"kind": "DaemonSet", "name": "flannel", "controller": True}],
        },
        spec={
            "nodeName": node,
            "volumes": [{"projected": {"sources": [{"configMap": {"name": ROOT_CONFIG_MAP}}]}}],
        },
        status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    )
    return f"{SYSTEM}/pods/{name}"


@dataclass
class Tokens:
    """The tokens of one pod on each node; `check` fails when an API server would refuse one."""

    cluster: FakeCluster
    signed_by: dict[str, str] = field(default_factory=dict)
    """Fingerprint of the key that has signed a pod's token, by the pod's path."""

    def issue(self, node: str) -> None:
        """Have a node's pod start; of several API servers the one that was replaced longest ago signs."""
        planes = self.cluster.site.control_planes
        others = [name for name in planes if name not in (node, *self.cluster.down)]
        signer = min(others or planes, key=self._find_last_boot)
        self.signed_by[add_pod(self.cluster, node)] = self.cluster.servers[signer].signs

    def _find_last_boot(self, node: str) -> int:
        return max((at for at, booted in enumerate(self.cluster.boots) if booted == node), default=-1)

    def inner_changed(self, method: str, path: str) -> None:
        """Make again at once what was deleted, as its controller does."""
        if method == "DELETE" and path in self.signed_by:
            self.issue(path.rpartition("/flannel-")[2])

    def check(self) -> None:
        for node, server in self.cluster.servers.items():
            for path, key in self.signed_by.items():
                assert key in server.public, f"{node} refuses the token of {path}"


def watch_tokens(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> Tokens:
    """Give a fake cluster's nodes a pod each, and check their tokens at every boot from here on."""
    made = Tokens(cluster)
    for node in (*cluster.site.control_planes, *cluster.site.workers):
        made.issue(node)
    boot, changed = cluster.boot, cluster.inner.after

    def boot_too(node: str) -> None:
        boot(node)
        made.issue(node)
        made.check()

    def changed_too(method: str, path: str) -> None:
        changed(method, path)
        made.inner_changed(method, path)

    monkeypatch.setattr(cluster, "boot", boot_too)
    cluster.inner.after = changed_too
    made.check()
    return made
