"""Inner rights that kubeadm would grant in phases that KinKy does not run."""

from __future__ import annotations

from kinky.config.model import KinkyConfig
from kinky.manifests.body import Body, build_cluster_role_binding


def build_cluster_access(cfg: KinkyConfig) -> tuple[Body, ...]:
    """Return the bindings for `kubectl logs` and `exec`, and for nodes that renew their own certificate."""
    return (
        build_cluster_role_binding(
            "kinky:api-server-to-kubelets",
            app="kinky",
            role="system:kubelet-api-admin",
            subject=_subject("User", "kube-apiserver-kubelet-client"),
        ),
        build_cluster_role_binding(
            "kinky:renew-node-certificates",
            app="kinky",
            role="system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
            subject=_subject("Group", "system:nodes"),
        ),
    )


def _subject(kind: str, name: str) -> Body:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
