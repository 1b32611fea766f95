"""The right to read a store of Secrets: a ServiceAccount that may get the cluster's values by name, and no more.

A Role knows names and no prefixes. One of its names is never written. So the gate sees the store's answer for an absent
value, and not only the API's answer for a forbidden one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from kinky import names
from kinky.manifests.body import Body
from kinky.manifests.store_values import UNKNOWN_VALUE, store_values

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig

RBAC_VERSION: Final = "rbac.authorization.k8s.io/v1"


def remote_key(cfg: KinkyConfig, value: str) -> str:
    """Return the name of the value's Secret, by which an ExternalSecret asks for it."""
    return names.store_secret(cfg.cluster.name, value)


def decoy_key(cfg: KinkyConfig) -> str:
    """Return the name of a Secret that is not the store's."""
    return names.store_decoy(cfg.cluster.name)


def store_secret_names(cfg: KinkyConfig) -> tuple[str, ...]:
    """Return the names of the Secrets with the program's values, and of one Secret that is never written."""
    return tuple(names.store_secret(cfg.cluster.name, value) for value in (*store_values(cfg), UNKNOWN_VALUE))


def build_reader(cfg: KinkyConfig, namespace: str) -> tuple[Body, Body, Body]:
    """Return the ServiceAccount that reads the store, and its Role and RoleBinding for the program's values.

    No list and no watch: both would show every Secret of the namespace.
    """
    cluster = cfg.cluster.name
    name = names.store_reader(cluster)
    account: Body = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(cluster, name, namespace),
        "automountServiceAccountToken": False,
    }
    return account, *_rights(cluster, name, namespace, secrets=store_secret_names(cfg))


def build_value_rights(cluster: str, value: str, namespace: str) -> tuple[Body, Body]:
    """Return the Role and the RoleBinding by which the store's ServiceAccount may get one value of the admin.

    One pair for each value: `kinky secrets` makes and removes it with the value. It shares no list of names with
    another value. The program's own Role does not change.
    """
    secret = names.store_secret(cluster, value)
    return _rights(cluster, names.store_value_reader(cluster, value), namespace, secrets=(secret,))


def _rights(cluster: str, name: str, namespace: str, *, secrets: Sequence[str]) -> tuple[Body, Body]:
    role: Body = {
        "apiVersion": RBAC_VERSION,
        "kind": "Role",
        "metadata": _metadata(cluster, name, namespace),
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": list(secrets), "verbs": ["get"]}],
    }
    reader = {"kind": "ServiceAccount", "name": names.store_reader(cluster), "namespace": namespace}
    binding: Body = {
        "apiVersion": RBAC_VERSION,
        "kind": "RoleBinding",
        "metadata": _metadata(cluster, name, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [reader],
    }
    return role, binding


def _metadata(cluster: str, name: str, namespace: str) -> Body:
    return {"name": name, "namespace": namespace, "labels": names.cluster_labels(cluster)}
