"""The facts that an operation needs about the pods on a node."""

from __future__ import annotations

from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.inner import InnerApi
from kinky.kube.objects import is_condition_true

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
"""On the API's copy of a static pod; the kubelet of the node runs the pod itself, from a file."""


def fetch_pods(inner: InnerApi, node: str) -> list[JsonObject]:
    """Fetch the pods that are bound to a node."""
    pods = inner.fetch_all(resources.PODS, fields=f"spec.nodeName={node}")
    return [pod for pod in pods if (pod.get("spec") or {}).get("nodeName") == node]


def find_maker(pod: JsonObject) -> str:
    """Find the object that makes a new pod when this one is gone; empty for a pod without one."""
    metadata = pod["metadata"]
    owners = [owner for owner in metadata.get("ownerReferences") or [] if owner.get("controller")]
    return next((f"{owner['kind']} {metadata['namespace']}/{owner['name']}" for owner in owners), "")


def is_of_daemon(pod: JsonObject) -> bool:
    """Tell whether a pod is a DaemonSet's: its controller would make it again on the same node, cordoned or not."""
    return find_maker(pod).startswith(f"{resources.DAEMON_SETS.kind} ")


def is_mirror(pod: JsonObject) -> bool:
    """Tell whether a pod is only the API's copy of a static pod."""
    return MIRROR_ANNOTATION in (pod["metadata"].get("annotations") or {})


def is_finished(pod: JsonObject) -> bool:
    """Tell whether a pod runs nothing any more."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_ending(pod: JsonObject) -> bool:
    """Tell whether a pod is being deleted."""
    return "deletionTimestamp" in pod["metadata"]


def is_ready(pod: JsonObject) -> bool:
    """Tell whether a pod is Ready."""
    return is_condition_true(pod.get("status") or {}, "Ready")


def describe_pod(pod: JsonObject) -> str:
    """Return namespace and name."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
