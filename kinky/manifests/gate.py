"""The gate's wall: while it is closed, the inner API refuses every pod outside our own namespaces.

An admission policy and not a webhook: it runs inside the API server, so nothing of ours has to be alive, and a policy
without its parameter refuses. The namespaces are exempt by the policy's selector and not by a match condition, which
would be asked only after the parameter was found: a lost ConfigMap must not stop CoreDNS.
"""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.manifests.body import Body, build_config_map, build_namespace, inner_metadata

APP: Final = "gate"
API_VERSION: Final = "admissionregistration.k8s.io/v1"
STATE_KEY: Final = "state"
OPEN: Final = "open"
CLOSED: Final = "closed"

IS_OPEN: Final = f"has(params.data) && has(params.data.{STATE_KEY}) && params.data.{STATE_KEY} == '{OPEN}'"
MESSAGE: Final = "the gate is closed until the secrets store is proved; kinky gate show tells why"


def build_gate() -> tuple[Body, ...]:
    """Return what the wall is made of, in the order of creation: our namespace, the policy, its binding."""
    return (build_namespace(names.NAMESPACE_KINKY, app="kinky"), _policy(), _binding())


def build_closed_state() -> Body:
    """Return the ConfigMap of a gate that was never open; it is created once and never declared again."""
    data = {STATE_KEY: CLOSED, "reason": "the secrets store is not proved yet"}
    return build_config_map(names.GATE, names.NAMESPACE_KINKY, app=APP, data=data)


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
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
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
            "paramRef": {
                "name": names.GATE,
                "namespace": names.NAMESPACE_KINKY,
                "parameterNotFoundAction": "Deny",
            },
            "validationActions": ["Deny"],
        },
    }
