"""The rungs inside the cluster: from a registered node to a node that takes pods."""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.why.facts import ClusterFacts, NodeFacts
from kinky.why.step import REMAKE, Step

NO_NETWORK: Final = ("cni", "network plugin", "NetworkPluginNotReady", "NetworkReady=false")


def check_registered(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The inner API has a Node of it, with the declared address."""
    if node.node is None:
        if cluster.inner_fault:
            return Step(
                f"nobody can say whether {node.name} is registered, as the API is away: {cluster.inner_fault}",
                "kinky status --capability api --stack {stack}",
            )
        return Step(
            f"the guest of {node.name} runs, and its node is not registered", "virtctl console {node} -n {namespace}"
        )
    if node.node.internal_ip != node.service_address:
        return Step(
            f"{node.name} registered as {node.node.internal_ip or 'nothing'}, declared is {node.service_address}",
            "kubectl delete vmi {node} -n {namespace} on the host boots it with the declared one",
        )
    return None


def check_network(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """Its pod network is up."""
    reason = node.node.reason if node.node else ""
    lacks = any(word.lower() in reason.lower() for word in NO_NETWORK)
    if node.network_pod.endswith("Ready") and not node.network_pod.endswith("not Ready") and not lacks:
        return None
    state = f"flannel's pod on it is {node.network_pod}" if node.network_pod else "there is no pod of flannel on it"
    if not lacks and node.ready_unknown:
        return None
    return Step(
        f"the pod network of {node.name} is not up: {state}",
        f"kubectl describe daemonset flannel -n {names.NAMESPACE_SYSTEM}; " + REMAKE,
        (reason,) if reason else (),
    )


def check_ready(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """Its kubelet says Ready."""
    if node.node is None or node.node.ready:
        return None
    if node.ready_unknown:
        return Step(
            f"the kubelet of {node.name} has stopped to report: {node.node.reason}",
            "kubectl delete vmi {node} -n {namespace} on the host replaces the instance",
        )
    return Step(f"{node.name} is not Ready: {node.node.reason}", "kubectl describe node {node}")


def check_schedulable(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """It takes ordinary pods; a control plane need not."""
    if node.cordoned:
        return Step(f"{node.name} is Ready and cordoned, so it takes no new pods", "kubectl uncordon {node}")
    if names.GATE_TAINT in node.taints:
        return Step(f"{node.name} is Ready and waits for the gate to open", "kinky gate show --stack {stack}")
    return None
