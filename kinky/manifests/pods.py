"""Parts of pod templates that several inner applications share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kinky import names
from kinky.manifests.body import Body, app_selector, inner_metadata, pod_metadata

CONTROL_PLANE_LABEL: Final = "node-role.kubernetes.io/control-plane"

PULL_POLICY: Final = "Never"
"""A system image that a node lacks must fail at once: no registry serves these names."""

EVERY_TAINT: Final[tuple[Body, ...]] = ({"operator": "Exists"},)
"""For what makes a node usable in the first place."""
OUR_TAINTS: Final[tuple[Body, ...]] = (
    {"key": CONTROL_PLANE_LABEL, "operator": "Exists", "effect": "NoSchedule"},
    {"key": names.GATE_TAINT, "operator": "Exists", "effect": "NoSchedule"},
)
"""For what must go on while no worker is there, and before the gate is open."""


def build_node_daemon_set(app: str, *, data: dict[str, str], container: Body, volumes: Sequence[Body]) -> Body:
    """Return the DaemonSet of a pod that makes its node usable, with its configuration in a volume `config`.

    Args:
        data: Content of the ConfigMap, which has the application's name; new content starts new pods.
        volumes: Those besides the configuration.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": inner_metadata(app, app=app, namespace=names.NAMESPACE_SYSTEM),
        "spec": {
            "selector": {"matchLabels": app_selector(app)},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {
                "metadata": pod_metadata(app, config=data),
                "spec": {
                    # With the node's network comes its /etc/hosts, which holds the endpoint's name.
                    "hostNetwork": True,
                    "dnsPolicy": "Default",
                    "priorityClassName": "system-node-critical",
                    "serviceAccountName": app,
                    "tolerations": list(EVERY_TAINT),
                    "containers": [container],
                    "volumes": [*volumes, {"name": "config", "configMap": {"name": app}}],
                },
            },
        },
    }


def prefer_workers() -> Body:
    """Return the affinity that keeps a pod off control planes while another node has room."""
    expression = {"key": CONTROL_PLANE_LABEL, "operator": "DoesNotExist"}
    term = {"weight": 100, "preference": {"matchExpressions": [expression]}}
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}


def spread(selector: dict[str, str]) -> list[Body]:
    """Return the constraint that puts pods on different nodes while that is possible."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector},
        }
    ]


def restricted(*, add: tuple[str, ...] = ()) -> Body:
    """Return the security context of a container that needs no right but the capabilities in `add`."""
    capabilities: Body = {"drop": ["ALL"]} | ({"add": list(add)} if add else {})
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": capabilities,
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def unprivileged_user() -> Body:
    """Return the security context of a pod whose processes are nobody."""
    return {"runAsNonRoot": True, "runAsUser": 65534, "runAsGroup": 65534}


def variable(name: str, value: str) -> Body:
    """Return an environment variable with an unchanged value: Kubernetes would expand `$(NAME)` and `$$` in it."""
    return {"name": name, "value": value.replace("$", "$$")}


def from_field(name: str, path: str) -> Body:
    """Return an environment variable that holds a field of the pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def requests(*, cpu: str, memory: str) -> Body:
    """Return resource requests without limits: a limit on a system pod turns load into an outage."""
    return {"requests": {"cpu": cpu, "memory": memory}}


def http_probe(path: str, port: int, *, period_seconds: int, failures: int, delay_seconds: int = 0) -> Body:
    """Return an HTTP probe; under emulation every probe costs CPU, so periods are long."""
    return {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "initialDelaySeconds": delay_seconds,
        "periodSeconds": period_seconds,
        "timeoutSeconds": 5,
        "successThreshold": 1,
        "failureThreshold": failures,
    }
