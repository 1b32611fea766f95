"""The first workload: a small web application that reads one value of the secrets store."""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.manifests import pods
from kinky.manifests.addons.external_secrets import build_write_right
from kinky.manifests.body import (
    Body,
    app_selector,
    build_namespace,
    build_service_account,
    inner_metadata,
    pod_metadata,
)
from kinky.manifests.secrets_store import build_external_secret
from kinky.manifests.store_values import WORKLOAD_KEY, WORKLOAD_VALUE

APP: Final = "web"
PORT: Final = 8080
SECRETS_DIR: Final = "/secrets"


def build_workload(cfg: KinkyConfig) -> tuple[Body, ...]:
    """Return the workload's objects in the order of creation; nothing when it is not wanted."""
    if not cfg.workload.enabled:
        return ()
    namespace = names.NAMESPACE_WORKLOAD
    return (
        build_namespace(namespace, app=APP),
        build_service_account(APP, namespace, mount_token=False),
        build_write_right(namespace),
        build_external_secret(cfg, WORKLOAD_VALUE, WORKLOAD_KEY, namespace=namespace),
        _deployment(cfg),
        _service(cfg),
    )


def _deployment(cfg: KinkyConfig) -> Body:
    workers = sum(pool.replicas for pool in cfg.workers)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": inner_metadata(APP, app=APP, namespace=names.NAMESPACE_WORKLOAD),
        "spec": {
            "replicas": 2 if workers > 1 else 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": app_selector(APP)},
            "template": {
                "metadata": pod_metadata(APP),
                "spec": {
                    "serviceAccountName": APP,
                    "automountServiceAccountToken": False,
                    "securityContext": pods.unprivileged_user(),
                    "topologySpreadConstraints": pods.spread(app_selector(APP)),
                    "containers": [_container(cfg)],
                    # Not optional: the pod starts when the value has arrived, and not before.
                    "volumes": [{"name": "secrets", "secret": {"secretName": WORKLOAD_VALUE, "optional": False}}],
                },
            },
        },
    }


def _container(cfg: KinkyConfig) -> Body:
    return {
        "name": APP,
        "image": cfg.release.system_images["web"],
        "imagePullPolicy": pods.PULL_POLICY,
        "env": [pods.variable("GREETING", cfg.workload.greeting), pods.from_field("NODE_NAME", "spec.nodeName")],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": pods.http_probe("/healthz", PORT, period_seconds=5, failures=6),
        "resources": pods.requests(cpu="10m", memory="16Mi"),
        "securityContext": pods.restricted(),
        "volumeMounts": [{"name": "secrets", "mountPath": SECRETS_DIR, "readOnly": True}],
    }


def _service(cfg: KinkyConfig) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": inner_metadata(APP, app=APP, namespace=names.NAMESPACE_WORKLOAD),
        "spec": {
            "type": "NodePort",
            "externalTrafficPolicy": "Cluster",
            "selector": app_selector(APP),
            "ports": [
                {
                    "name": "http",
                    "port": 80,
                    "targetPort": PORT,
                    "nodePort": cfg.workload.node_port,
                    "protocol": "TCP",
                }
            ],
        },
    }
