"""The rungs in the guest, as its console tells them; a Node that reports proves them all."""

from __future__ import annotations

from typing import Final

from kinky.why.facts import OPEN, REFUSED, SILENT, ClusterFacts, NodeFacts
from kinky.why.step import REMAKE, Step

ORDER: Final = (
    "initrd",
    "kernel",
    "data-disk",
    "user-data",
    "network",
    "credentials",
    "clock",
    "etcd-disk",
    "kms",
    "certs",
    "endpoint",
    "gate",
    "kubelet",
    "readyz",
    "control-plane",
    "done",
)
"""The guest's stages in the order of a boot; data-disk and network run beside their neighbours."""
REBOOT: Final = "kubectl delete vmi {node} -n {namespace} on the host boots it again"
CONSOLE: Final = "virtctl console {node} -n {namespace} shows its console"
VERSION_HINT: Final = "set image.reference to an image of this version, or leave it out; kinky up --stack {stack}"


def check_kernel(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The guest's kernel has said its first word."""
    failed = node.failed_stage
    if failed and failed.name == "initrd":
        return Step(
            f"the guest of {node.name} finds no root disk of KinKy: {failed.text}", "kinky image list; " + REBOOT
        )
    if node.joined or _has_reached(node, "kernel") or not node.console_kept or node.ready_unknown:
        return None
    return Step(
        f"the guest of {node.name} has not said a word: its kernel does not start, or gets too little processor time",
        "kubectl top node on the host, then " + REBOOT,
    )


def check_cloud_init(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """cloud-init has brought the node's settings, and they fit the image."""
    failed = node.failed_stage
    if failed and failed.name in ("user-data", "start"):
        return Step(
            f"no user-data arrived in {node.name}: {failed.text}",
            "kubectl get secrets -l kinky.dev/node={node} -n {namespace}; " + REMAKE,
        )
    if failed and failed.name == "version":
        return Step(
            f"the image of {node.name} carries another Kubernetes than the stack's {cluster.kubernetes_version}",
            VERSION_HINT,
            (failed.text,),
        )
    if failed and failed.name in ("processors", "address", "network", "clock"):
        return Step(f"the guest of {node.name} failed at {failed.name}: {failed.text}", CONSOLE)
    return None


def check_data_disk(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The guest's disks are what they must be."""
    failed = node.failed_stage
    if failed and failed.name == "data-disk":
        return Step(f"the data disk of {node.name} cannot be used: {failed.text}", REBOOT + " with a blank one")
    if failed and failed.name == "etcd-disk":
        return Step(
            f"etcd's disk of {node.name} cannot be used: {failed.text}",
            f"look at claim {node.claim or node.name}: it holds something that is not etcd's; it is never formatted",
        )
    # After the disks only: a guest whose last word is `kernel` hangs between them.
    if not node.joined and node.console_kept and node.stages and not _has_reached(node, "user-data") and not failed:
        last = node.stages[-1].name
        return Step(f"the guest of {node.name} stands at {last}: cloud-init has not read its settings yet", CONSOLE)
    return None


def check_credentials(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The node's credentials are in the guest, and etcd and kubeadm could use them."""
    failed = node.failed_stage
    if failed and failed.name in ("credentials", "certs", "kms"):
        return Step(
            f"the guest of {node.name} cannot use its credentials, stage {failed.name}: {failed.text}",
            "kubectl get secrets -l kinky.dev/node={node} -n {namespace}; kinky rotate status --stack {stack}",
        )
    if not node.joined and _stands_before(node, "credentials"):
        return Step(f"the guest of {node.name} waits for its disk with credentials", CONSOLE)
    return None


def check_api(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The guest reaches the API; for a control plane, its own API server serves."""
    if node.is_control_plane:
        return _check_own_api(node, cluster)
    if node.joined or not _waits_for(node, "endpoint"):
        return None
    if cluster.inner_fault:
        return Step(
            f"{node.name} waits for the API, which does not answer: {cluster.inner_fault}",
            "kinky why --stack {stack} tells about the control planes",
        )
    policies = ", ".join(cluster.foreign_policies)
    blame = f"; NetworkPolicy {policies} is in its namespace and not KinKy's" if policies else ""
    return Step(
        f"{node.name} cannot reach the API, which answers from outside{blame}",
        "kubectl get networkpolicies -n {namespace} on the host; delete the policy that denies",
    )


def _check_own_api(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    failed = node.failed_stage
    if failed and failed.name in ("kubelet", "readyz", "control-plane"):
        return Step(f"the API server of {node.name} does not become ready: {failed.text}", CONSOLE)
    if cluster.inner_fault and node.api_port == REFUSED and node.kubelet_port == OPEN:
        told = f"the API server of {node.name} does not run, although its guest and its kubelet do"
        return Step(told, REBOOT, (cluster.inner_fault,))
    if cluster.inner_fault and node.api_port == OPEN:
        told = (
            f"the API server of {node.name} answers on its own port, and the published path to it does not lead there"
        )
        return Step(told, "kinky status --capability api --stack {stack}", (cluster.inner_fault,))
    if not node.joined and _stands_before(node, "readyz") and not node.ready_unknown:
        return Step(f"{node.name} still starts its control plane, last at {node.stages[-1].name}", CONSOLE)
    return None


def check_gate(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The wall of the gate stands, which workers wait for."""
    waits = not node.joined and _waits_for(node, "gate")
    if cluster.gate_fault and (waits or node.joined):
        what = "so it does not register" if waits else "so a node that boots now does not register"
        return Step(
            f"the gate has a hole, {what}: {cluster.gate_fault}", "kinky gate open --stack {stack} makes it again"
        )
    if waits:
        return Step(f"{node.name} waits at the gate, whose wall it cannot read yet", "kinky gate show --stack {stack}")
    return None


def check_kubelet(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The kubelet runs."""
    if node.joined:
        return None
    failed = node.failed_stage
    if failed:
        return Step(f"the guest of {node.name} failed in stage {failed.name}: {failed.text}", CONSOLE)
    if node.kubelet_port == REFUSED:
        return Step(f"the kubelet of {node.name} does not run, although its guest does", REBOOT)
    if node.kubelet_port == SILENT:
        return Step(f"the guest of {node.name} is frozen: its instance runs, and nothing in it answers", REBOOT)
    return None


def _has_reached(node: NodeFacts, stage: str) -> bool:
    """Tell whether this stage or a later one was reached, or failed after it."""
    place = ORDER.index(stage)
    return any(each.name in ORDER and ORDER.index(each.name) >= place and not each.failed for each in node.stages)


def _stands_before(node: NodeFacts, stage: str) -> bool:
    """Tell whether the console shows stages, and this one not yet."""
    return bool(node.console_kept and node.stages and not _has_reached(node, stage))


def _waits_for(node: NodeFacts, stage: str) -> bool:
    """Tell whether a worker has all before this stage, and not the stage."""
    before = ORDER[ORDER.index(stage) - 1] if stage != "endpoint" else "credentials"
    return _stands_before(node, stage) and _has_reached(node, before)
