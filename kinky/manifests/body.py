"""The common parts of all bodies: type, metadata, logical name, and quantities as Kubernetes writes them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from kinky import names
from kinky.topology.nodes import NodeSpec

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig

Body: TypeAlias = dict[str, Any]
"""One Kubernetes object, or a part of one."""
Late: TypeAlias = Any
"""Text that may be known only when a resource exists: it is put in its place and never looked into."""

CONFIG_ANNOTATION: Final = "kinky.dev/config-hash"


def host_metadata(cfg: KinkyConfig, name: Late, *, node: NodeSpec | None = None) -> Body:
    """Return the metadata of an object in the host namespace; `node` adds a node's labels."""
    return {"name": name, "namespace": cfg.host.namespace, "labels": host_labels(cfg, node)}


def host_labels(cfg: KinkyConfig, node: NodeSpec | None = None) -> dict[str, str]:
    """Return the labels of a host object of the cluster, or of one node."""
    if node is None:
        return names.cluster_labels(cfg.cluster.name)
    return names.node_labels(cfg.cluster.name, role=node.role, pool=node.pool, node=node.name)


def inner_metadata(name: str, *, app: str, namespace: str | None = None) -> Body:
    """Return the metadata of an object in the inner cluster; without a namespace for cluster-wide ones."""
    labels = {"app.kubernetes.io/name": app, names.LABEL_MANAGED_BY: names.MANAGED_BY}
    return {"name": name, "labels": labels} | ({"namespace": namespace} if namespace else {})


def app_selector(app: str) -> dict[str, str]:
    """Return the label that tells the pods of one inner application from all others."""
    return {"app.kubernetes.io/name": app}


def pod_metadata(app: str, *, config: Body | None = None) -> Body:
    """Return the metadata of a pod template; a change of `config` (a ConfigMap's data) restarts the pods."""
    metadata: Body = {"labels": {**app_selector(app), names.LABEL_MANAGED_BY: names.MANAGED_BY}}
    if config is not None:
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        metadata["annotations"] = {CONFIG_ANNOTATION: digest[: names.HASH_LENGTH]}
    return metadata


def build_namespace(name: str, *, app: str) -> Body:
    """Return an inner Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": inner_metadata(name, app=app)}


def build_service_account(name: str, namespace: str, *, mount_token: bool) -> Body:
    """Return an inner ServiceAccount; `mount_token` says whether its pods talk to the API."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": inner_metadata(name, app=name, namespace=namespace),
        "automountServiceAccountToken": mount_token,
    }


def build_cluster_role(name: str, *, app: str, rules: list[Body]) -> Body:
    """Return an inner ClusterRole."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": inner_metadata(name, app=app),
        "rules": rules,
    }


def build_cluster_role_binding(name: str, *, app: str, role: str, subject: Body) -> Body:
    """Return an inner ClusterRoleBinding of one subject."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": inner_metadata(name, app=app),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def build_role_binding(name: str, namespace: str, *, app: str, role: Body, subject: Body) -> Body:
    """Return an inner RoleBinding of one subject; `role` is the kind and the name of a Role or a ClusterRole."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": inner_metadata(name, app=app, namespace=namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", **role},
        "subjects": [subject],
    }


def service_account_subject(name: str, namespace: str) -> Body:
    """Return a ServiceAccount as the subject of a binding."""
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def build_config_map(name: str, namespace: str, *, app: str, data: dict[str, str]) -> Body:
    """Return an inner ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": inner_metadata(name, app=app, namespace=namespace),
        "data": data,
    }


def logical_name(body: Body) -> str:
    """Return a stable logical name for a body: namespace (or `cluster`), kind and name."""
    metadata = body["metadata"]
    return f"{metadata.get('namespace', 'cluster')}/{body['kind'].lower()}/{metadata['name']}"


def binary_quantity(mib: int) -> str:
    """Return a size as the API would write it back: 3072 MiB is `3Gi`, or every preview would show a change."""
    units = ["Mi", "Gi", "Ti", "Pi"]
    size = mib
    while size and size % 1024 == 0 and len(units) > 1:
        size //= 1024
        units.pop(0)
    return f"{size}{units[0]}"
