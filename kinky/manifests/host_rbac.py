"""The right to read the secrets store: a ServiceAccount that may get the cluster's values by name, and no more.

A Role knows names and no prefixes. One of its names is never written, so that the gate sees what the store says of an
absent value, and not only what the host says of a forbidden one.
"""

from __future__ import annotations

from collections.abc import Sequence

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.manifests.body import Body, host_metadata
from kinky.manifests.secrets_store import UNKNOWN_VALUE, store_values


def store_secret_names(cfg: KinkyConfig) -> tuple[str, ...]:
    """Return the names of the host Secrets that hold the values of the program, and of one that is never written."""
    return tuple(names.store_secret(cfg.cluster.name, value) for value in (*store_values(cfg), UNKNOWN_VALUE))


def build_store_service_account(cfg: KinkyConfig) -> Body:
    """Return the host ServiceAccount whose token the inner cluster reads the store with."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": host_metadata(cfg, names.store_reader(cfg.cluster.name)),
        "automountServiceAccountToken": False,
    }


def build_store_role(cfg: KinkyConfig) -> Body:
    """Return the Role: no list and no watch, because both would show every Secret of the namespace."""
    return _role(cfg, names.store_reader(cfg.cluster.name), secrets=store_secret_names(cfg))


def build_store_role_binding(cfg: KinkyConfig) -> Body:
    """Return the RoleBinding of the store's ServiceAccount to its Role."""
    return _role_binding(cfg, names.store_reader(cfg.cluster.name))


def build_value_rights(cfg: KinkyConfig, value: str) -> tuple[Body, Body]:
    """Return the Role and the RoleBinding by which the store's ServiceAccount may get one value of the operator.

    One pair for each value: `kinky secrets` makes and removes it with the value, and no list of names is shared with
    another value, or with the program, whose own Role these leave alone.
    """
    name = names.store_value_reader(cfg.cluster.name, value)
    secret = names.store_secret(cfg.cluster.name, value)
    return _role(cfg, name, secrets=(secret,)), _role_binding(cfg, name)


def _role(cfg: KinkyConfig, name: str, *, secrets: Sequence[str]) -> Body:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": host_metadata(cfg, name),
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": list(secrets), "verbs": ["get"]}],
    }


def _role_binding(cfg: KinkyConfig, role: str) -> Body:
    reader = names.store_reader(cfg.cluster.name)
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": host_metadata(cfg, role),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": reader, "namespace": cfg.host.namespace}],
    }
