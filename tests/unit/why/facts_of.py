"""A node with nothing wrong, of which tests take one thing away."""

from __future__ import annotations

from typing import Any

from kinky.forming.diagnose import Stage, parse_stages
from kinky.kube.records import NodeStatus, PodStatus, VmiStatus, VmStatus
from kinky.why.facts import ClusterFacts, NodeFacts

CLUSTER = ClusterFacts(cluster="dev", stack="dev", namespace="kinky-dev", kubernetes_version="v1.36.3")
WORKER_STAGES = ("kernel", "data-disk", "user-data", "network", "credentials", "endpoint", "gate", "kubelet", "done")


def vm(printable: str = "Running", **more: Any) -> VmStatus:
    known = {"name": "n", "ready": True, "failure": "", "failed_starts": 0, "retry_after": ""}
    return VmStatus(printable=printable, **(known | more))


def vmi(phase: str = "Running", **more: Any) -> VmiStatus:
    known = {"name": "n", "uid": "u", "ready": True, "running_since": "", "conditions": ()}
    return VmiStatus(phase=phase, **(known | more))


def pod(**more: Any) -> PodStatus:
    known = {
        "name": "virt-launcher-n",
        "phase": "Running",
        "ready": True,
        "deleting": False,
        "containers": ("compute", "guest-console-log"),
        "waiting": (),
        "unscheduled": "",
        "address": "",
    }
    return PodStatus(**(known | more))


def kube_node(**more: Any) -> NodeStatus:
    known = {
        "name": "dev-worker-0",
        "ready": True,
        "reason": "",
        "internal_ip": "10.96.0.3",
        "version": "v1.36.3",
        "ready_since": "",
        "boot_id": "b",
        "control_plane": False,
    }
    return NodeStatus(**(known | more))


def stages(*names: str, failed: str = "", text: str = "") -> tuple[Stage, ...]:
    lines = [f"kinky: stage {name} {number}.0" for number, name in enumerate(names, 1)]
    lines += [f"kinky: FAILED stage {failed}: {text}"] if failed else []
    return parse_stages("\n".join(lines))


def facts(**more: Any) -> NodeFacts:
    """Return a worker that is up, but for these."""
    known: dict[str, Any] = {
        "name": "dev-worker-0",
        "is_control_plane": False,
        "vm": vm(),
        "vmi": vmi(),
        "pod": pod(),
        "image": "kinky.internal/node:v1.36.3-0123",
        "memory": "2Gi",
        "service_address": "10.96.0.3",
        "console_kept": True,
        "stages": stages(*WORKER_STAGES),
        "node": kube_node(),
        "network_pod": "Running, Ready",
    }
    return NodeFacts(**(known | more))


def booting(*reached: str, **more: Any) -> NodeFacts:
    """Return a worker whose guest has come so far and is not registered."""
    return facts(**({"node": None, "network_pod": "", "stages": stages(*reached)} | more))


def plane(**more: Any) -> NodeFacts:
    """Return a control plane."""
    return facts(
        **({"name": "dev-control-plane-0", "is_control_plane": True, "claim": "dev-control-plane-0-etcd"} | more)
    )
