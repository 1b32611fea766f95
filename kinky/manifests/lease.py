"""The lease of a cluster: a Job that makes no pod, and that the host's own controllers end and remove in time."""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.manifests.body import Body

REMOVED_AFTER_SECONDS: Final = 5
"""How long the host keeps the Job after its end; the cluster's objects go with it."""
IMAGE: Final = "none.invalid/none"
"""No pod is made, so nothing pulls it."""
LIMITS: Final = {"cpu": "1m", "memory": "1Mi"}
"""Some hosts refuse a template without them; no pod uses them."""


def build_lease(cluster: str, *, seconds: int, stack: str, holder: str) -> Body:
    """Return the Job that ends after this time; the time counts from its start by the host's clock."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.lease(cluster),
            "labels": names.cluster_labels(cluster),
            "annotations": build_annotations(seconds=seconds, stack=stack, holder=holder),
        },
        "spec": {
            # Without a pod the Job never succeeds, so only its deadline ends it.
            "parallelism": 0,
            "backoffLimit": 0,
            "activeDeadlineSeconds": seconds,
            "ttlSecondsAfterFinished": REMOVED_AFTER_SECONDS,
            "template": {"metadata": {"labels": names.cluster_labels(cluster)}, "spec": _build_pod()},
        },
    }


def build_annotations(*, seconds: int, stack: str, holder: str) -> dict[str, str]:
    """Return what `kinky lease list` shows; nothing of it is secret."""
    return {
        names.STACK_ANNOTATION: stack,
        names.HOLDER_ANNOTATION: holder,
        names.TTL_ANNOTATION: str(seconds),
    }


def build_owner(cluster: str, uid: str) -> Body:
    """Return the reference by which an object names the lease as its owner.

    It does not block the owner's deletion: that would need a right on the finalizers of Jobs on some hosts.
    """
    return {"apiVersion": "batch/v1", "kind": "Job", "name": names.lease(cluster), "uid": uid}


def _build_pod() -> Body:
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "none",
                "image": IMAGE,
                "resources": {"requests": LIMITS, "limits": LIMITS},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    }
