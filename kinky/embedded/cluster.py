"""Calls to the host's Kubernetes, with kubectl and the kubeconfig for outside."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kinky import process
from kinky.embedded import credentials, layout
from kinky.embedded.layout import Layout
from kinky.errors import CommandError, HostError
from kinky.progress import phase
from kinky.retry import Pending, wait_until
from kinky.toolchain.tools import tool_path

NODE_READY_SECONDS = 180
API_SECONDS = 120


def kubectl(kubeconfig: Path, *arguments: str | Path, reason: str, stdin: bytes | None = None) -> str:
    """Run kubectl against the host and return what it printed.

    Raises:
        CommandError: kubectl failed.
    """
    options: tuple[str | Path, ...] = ("--kubeconfig", kubeconfig, "--request-timeout=30s")
    return process.run([tool_path("kubectl"), *options, *arguments], reason=reason, stdin=stdin, timeout_seconds=120)


def apply(
    place: Layout, documents: Sequence[dict[str, object]], *, reason: str, kubeconfig: Path | None = None
) -> None:
    """Create or change the objects by server-side apply, which has no size limit for long CRDs."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)}).encode()
    server_side = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    kubectl(kubeconfig or place.kubeconfig, *server_side, reason=reason, stdin=text)


def fetch(place: Layout, *arguments: str, reason: str) -> Any:
    """Return an object of the host as data, or None if it does not exist."""
    text = kubectl(place.kubeconfig, "get", *arguments, "--ignore-not-found", "-o", "json", reason=reason)
    return json.loads(text) if text.strip() else None


def wait_for_api(place: Layout, *, still_running: Callable[[], bool]) -> None:
    """Wait until the API answers through the listener.

    Raises:
        HostError: The sandbox ended meanwhile.
        WaitError: It did not answer in time.
    """

    def check() -> bool | Pending:
        if not still_running():
            raise HostError("its sandbox has ended")
        try:
            kubectl(place.kubeconfig, "get", "--raw", "/readyz", reason="ask whether the API is ready")
        except CommandError as error:
            return Pending(error.details[-1])
        return True

    with phase("host API answers", limit_seconds=API_SECONDS):
        wait_until(check, what="the embedded host's API answers", deadline_seconds=API_SECONDS, every_seconds=0.5)


def admit_administrators(place: Layout) -> None:
    """Make the two bindings that kubeadm makes in a phase that is not run here."""
    first = credentials.first_kubeconfig(place)
    apply(place, build_bindings(), reason="let kubeadm's administrators in", kubeconfig=first)


def build_bindings() -> list[dict[str, object]]:
    """Return the bindings of the administrators' group and of the API server's kubelet client."""
    return [
        _binding("kubeadm:cluster-admins", "cluster-admin", kind="Group", subject="kubeadm:cluster-admins"),
        # Its certificate names no group since 1.36, and `kubectl logs` is refused without this.
        _binding(
            "kinky:apiserver-kubelet-client",
            "system:kubelet-api-admin",
            kind="User",
            subject="kube-apiserver-kubelet-client",
        ),
    ]


def build_storage_class() -> dict[str, object]:
    """Return the default storage class: directories on the machine, made by the controller manager."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "hostpath",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/host-path",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }


def wait_for_node(place: Layout, *, since: float) -> None:
    """Wait until the node says after `since` that it is Ready, and give it the role that KubeVirt looks for."""

    def check() -> bool | Pending:
        node = fetch(place, "node", layout.NODE_NAME, reason="see whether the node is Ready")
        return ready_condition(node, since=since)

    with phase("host node Ready", limit_seconds=NODE_READY_SECONDS) as running:
        wait_until(
            check,
            what="the embedded host's node is Ready",
            deadline_seconds=NODE_READY_SECONDS,
            every_seconds=1,
            on_change=running.note,
            tolerate=(CommandError,),
            hint="kinky host logs kubelet",
        )
        kubectl(
            place.kubeconfig,
            "label",
            "--overwrite",
            "node",
            layout.NODE_NAME,
            "node-role.kubernetes.io/control-plane=",
            reason="label the host's node",
        )


def ready_condition(node: Any, *, since: float) -> bool | Pending:
    """Return True for a Ready node, else what it says of itself; what it said before `since` does not count."""
    if node is None:
        return Pending("node not registered")
    for condition in node["status"].get("conditions", []):
        if condition["type"] == "Ready":
            if seconds_of(condition["lastHeartbeatTime"]) < since:
                return Pending("node has not reported since the start")
            if condition["status"] == "True":
                return True
            return Pending(f"node not Ready: {condition.get('message', 'no reason given').strip()}")
    return Pending("node says nothing about Ready")


def seconds_of(timestamp: str) -> float:
    """Return the seconds since 1970 of a time as the API writes it."""
    return datetime.datetime.fromisoformat(timestamp).timestamp()


def _binding(name: str, role: str, *, kind: str, subject: str) -> dict[str, object]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": subject}],
    }
