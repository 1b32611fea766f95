"""The gate's wall: while it is closed, the inner API refuses every pod outside our own namespaces.

An admission policy and not a webhook: it runs inside the API server, so nothing of ours has to be alive. The open gate
is a right of one account without any other use, and the policy asks the authorizer for this right. So a lost object
closes the gate. A parameter would be the policy's own way to ask. But an API server that was once without the policy's
binding never reads it again (kubernetes/kubernetes#130887).
"""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.manifests.body import (
    Body,
    build_cluster_role,
    build_cluster_role_binding,
    build_config_map,
    build_namespace,
    build_role_binding,
    inner_metadata,
    service_account_subject,
)

APP: Final = "gate"
API_VERSION: Final = "admissionregistration.k8s.io/v1"
RBAC_VERSION: Final = "rbac.authorization.k8s.io/v1"
STATE_KEY: Final = "state"
OPEN: Final = "open"
CLOSED: Final = "closed"

SEEN_BY_NODES: Final = "kinky:see-gate"
RIGHT: Final = {"apiGroups": ["kinky.dev"], "resources": ["gates"], "verbs": [OPEN]}
"""The right that the account has while the gate is open; no such resource exists."""
IS_OPEN: Final = (
    f"authorizer.serviceAccount('{names.NAMESPACE_KINKY}', '{names.GATE}').group('kinky.dev').resource('gates')"
    f".namespace('{names.NAMESPACE_KINKY}').check('{OPEN}').allowed()"
)
MESSAGE: Final = "the gate is closed until the secrets store is proved; kinky gate show tells why"


def build_gate() -> tuple[Body, ...]:
    """Return what the wall is made of, in the order of creation: our namespace, the right, the policy, its binding.

    Last what lets nodes see the binding: a worker starts its kubelet when it does (node-image, role-worker).
    """
    return (build_namespace(names.NAMESPACE_KINKY, app="kinky"), _role(), _policy(), _binding(), *_sight())


def build_grant() -> Body:
    """Return what opens the gate: the binding by which the account has the right."""
    return build_role_binding(
        names.GATE,
        names.NAMESPACE_KINKY,
        app=APP,
        role={"kind": "Role", "name": names.GATE},
        subject=service_account_subject(names.GATE, names.NAMESPACE_KINKY),
    )


def build_closed_state() -> Body:
    """Return the record of a gate that was never open, a ConfigMap; it is created once and never declared again."""
    data = {STATE_KEY: CLOSED, "reason": "the secrets store is not proved yet"}
    return build_config_map(names.GATE, names.NAMESPACE_KINKY, app=APP, data=data)


def _role() -> Body:
    return {
        "apiVersion": RBAC_VERSION,
        "kind": "Role",
        "metadata": inner_metadata(names.GATE, app=APP, namespace=names.NAMESPACE_KINKY),
        "rules": [RIGHT],
    }


def _policy() -> Body:
    # Every way to a running pod: its creation by whomever, with or without a node, and its binding to a node.
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods", "pods/binding", "bindings"],
        "scope": "Namespaced",
    }
    exempt = {
        # The API server sets this label itself at every write, so no label of a user's opens the gate.
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": list(names.NAMESPACES_OF_OURS),
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": inner_metadata(names.GATE, app=APP),
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "matchPolicy": "Equivalent",
                "namespaceSelector": {"matchExpressions": [exempt]},
                "resourceRules": [rule],
            },
            "validations": [{"expression": IS_OPEN, "message": MESSAGE, "reason": "Forbidden"}],
        },
    }


def _binding() -> Body:
    return {
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": inner_metadata(names.GATE, app=APP),
        "spec": {
            "policyName": names.GATE,
            "validationActions": ["Deny"],
        },
    }


def _sight() -> tuple[Body, Body]:
    rule = {
        "apiGroups": ["admissionregistration.k8s.io"],
        "resources": ["validatingadmissionpolicybindings"],
        "resourceNames": [names.GATE],
        "verbs": ["get"],
    }
    nodes = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}
    return (
        build_cluster_role(SEEN_BY_NODES, app=APP, rules=[rule]),
        build_cluster_role_binding(SEEN_BY_NODES, app=APP, role=SEEN_BY_NODES, subject=nodes),
    )
