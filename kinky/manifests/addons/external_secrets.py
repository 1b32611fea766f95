"""External Secrets in its smallest form: one controller, no webhook, no certificate controller.

A webhook that refuses when it is down would be a dependency lock, and the gate proves more than validation could.
The custom resource definitions come with the node image. Flags are those of External Secrets 0.20.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kinky import names
from kinky.manifests import pods
from kinky.manifests.body import (
    Body,
    app_selector,
    build_cluster_role,
    build_cluster_role_binding,
    build_role_binding,
    build_service_account,
    inner_metadata,
    pod_metadata,
    service_account_subject,
)

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig

APP: Final = "external-secrets"
HEALTH_PORT: Final = 8082
WRITE_ROLE: Final = "kinky:external-secrets:write"
"""May write Secrets where a RoleBinding says so. Everywhere, it could make itself a token of any ServiceAccount."""

ARGUMENTS: Final = (
    "--concurrent=1",
    "--loglevel=info",
    "--zap-time-encoding=rfc3339",
    # Nothing scrapes it.
    "--metrics-addr=0",
    f"--live-addr=:{HEALTH_PORT}",
    # Only what reads: stores and ExternalSecrets. The other kinds are not even defined.
    "--enable-cluster-external-secret-reconciler=false",
    "--enable-cluster-push-secret-reconciler=false",
    "--enable-push-secret-reconciler=false",
    "--enable-generator-state=false",
)


def build_external_secrets(cfg: KinkyConfig) -> tuple[Body, ...]:
    """Return External Secrets' rights and controller in the order of creation; its namespace is the gate's."""
    namespace = names.NAMESPACE_KINKY
    return (
        build_service_account(APP, namespace, mount_token=True),
        build_cluster_role("kinky:external-secrets", app=APP, rules=_rules()),
        build_cluster_role_binding(
            "kinky:external-secrets",
            app=APP,
            role="kinky:external-secrets",
            subject=service_account_subject(APP, namespace),
        ),
        build_cluster_role(WRITE_ROLE, app=APP, rules=[_secrets("create", "update", "patch", "delete")]),
        build_write_right(namespace),
        _deployment(cfg),
    )


def build_write_right(namespace: str) -> Body:
    """Return the RoleBinding by which External Secrets may write Secrets in one namespace."""
    return _bind(WRITE_ROLE, namespace, {"kind": "ClusterRole", "name": WRITE_ROLE})


def build_token_right(account: str, namespace: str) -> tuple[Body, Body]:
    """Return the Role and the RoleBinding by which External Secrets may ask for tokens of one ServiceAccount."""
    name = f"kinky:external-secrets:token:{account}"
    return (
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": inner_metadata(name, app=APP, namespace=namespace),
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["serviceaccounts/token"],
                    "resourceNames": [account],
                    "verbs": ["create"],
                }
            ],
        },
        _bind(name, namespace, {"kind": "Role", "name": name}),
    )


def _bind(name: str, namespace: str, role: Body) -> Body:
    subject = service_account_subject(APP, names.NAMESPACE_KINKY)
    return build_role_binding(name, namespace, app=APP, role=role, subject=subject)


def _rules() -> list[Body]:
    kinds = ["clustersecretstores", "externalsecrets", "secretstores"]
    read, change = ["get", "list", "watch"], ["update", "patch"]
    return [
        {"apiGroups": ["external-secrets.io"], "resources": kinds, "verbs": read + change},
        {"apiGroups": ["external-secrets.io"], "resources": [f"{kind}/status" for kind in kinds], "verbs": change},
        # Its controller is always started, though no generator is ever used.
        {"apiGroups": ["generators.external-secrets.io"], "resources": ["generatorstates"], "verbs": read},
        {"apiGroups": [""], "resources": ["namespaces", "configmaps"], "verbs": read},
        # It watches the Secrets of all namespaces, whichever it writes.
        _secrets(*read),
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
    ]


def _secrets(*verbs: str) -> Body:
    return {"apiGroups": [""], "resources": ["secrets"], "verbs": list(verbs)}


def _deployment(cfg: KinkyConfig) -> Body:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": inner_metadata(APP, app=APP, namespace=names.NAMESPACE_KINKY),
        "spec": {
            "replicas": 1,
            # Two controllers at once would write the same Secrets; without leader election there is never a second.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": app_selector(APP)},
            "template": {
                "metadata": pod_metadata(APP),
                "spec": {
                    "priorityClassName": "system-cluster-critical",
                    "serviceAccountName": APP,
                    "securityContext": pods.unprivileged_user(),
                    "tolerations": list(pods.OUR_TAINTS),
                    "affinity": pods.prefer_workers(),
                    "containers": [_container(cfg)],
                },
            },
        },
    }


def _container(cfg: KinkyConfig) -> Body:
    return {
        "name": APP,
        "image": cfg.release.system_images["external-secrets"],
        "imagePullPolicy": pods.PULL_POLICY,
        "args": list(ARGUMENTS),
        "readinessProbe": pods.http_probe("/healthz", HEALTH_PORT, period_seconds=10, failures=6),
        "livenessProbe": pods.http_probe("/healthz", HEALTH_PORT, period_seconds=60, failures=5, delay_seconds=120),
        "resources": pods.requests(cpu="20m", memory="64Mi"),
        "securityContext": pods.restricted(),
    }
