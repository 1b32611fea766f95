"""The pod through which images come to one node: it runs as long as `kinky load`, which talks to containerd from it."""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.manifests import pods
from kinky.manifests.body import Body, inner_metadata

APP: Final = "kinky-load"
CONTAINER: Final = "loader"
CTR: Final = "/usr/bin/ctr"
"""containerd's own client: a static program of the node image, and there the pod finds it too."""
SOCKET: Final = "/run/containerd/containerd.sock"
LIFE_SECONDS: Final = 3600
"""It ends by itself when nobody removes it: who holds the socket is root on the node."""


def build_loader(cfg: KinkyConfig, node: str) -> Body:
    """Return the pod of one node; its namespace is no workload's, so it starts before the gate is open."""
    mounts = {CTR: "File", SOCKET: "Socket"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": inner_metadata(f"{APP}-{node}", app=APP, namespace=names.NAMESPACE_KINKY),
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFE_SECONDS,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "tolerations": list(pods.EVERY_TAINT),
            "containers": [
                {
                    "name": CONTAINER,
                    "image": cfg.release.system_images["pause"],
                    "imagePullPolicy": pods.PULL_POLICY,
                    "securityContext": {**pods.restricted(), "runAsUser": 0},
                    "volumeMounts": [{"name": f"path-{index}", "mountPath": path} for index, path in enumerate(mounts)],
                }
            ],
            "volumes": [
                {"name": f"path-{index}", "hostPath": {"path": path, "type": kind}}
                for index, (path, kind) in enumerate(mounts.items())
            ],
        },
    }
