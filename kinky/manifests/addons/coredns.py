"""The inner cluster's DNS: CoreDNS on the address that every kubelet was told at boot."""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.manifests import pods
from kinky.manifests.body import (
    Body,
    app_selector,
    build_cluster_role,
    build_cluster_role_binding,
    build_config_map,
    build_service_account,
    inner_metadata,
    pod_metadata,
    service_account_subject,
)
from kinky.topology.addresses import dns_addresses
from kinky.topology.nodes import build_nodes

APP: Final = "coredns"
SERVICE: Final = "kube-dns"
"""The name that charts and people look for."""

_NODES_FOR_TWO: Final = 3
"""Below this a second replica costs more than the few seconds without DNS that it saves."""

_COREFILE: Final = """.:53 {{
    errors
    health
    ready
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    forward . /etc/resolv.conf {{
        max_concurrent 1000
    }}
    cache 30
    loop
    loadbalance
}}
"""


def build_coredns(cfg: KinkyConfig) -> tuple[Body, ...]:
    """Return CoreDNS's objects in the order of creation."""
    namespace = names.NAMESPACE_SYSTEM
    data = {"Corefile": _COREFILE.format(domain=cfg.cluster.domain)}
    return (
        build_service_account(APP, namespace, mount_token=True),
        build_cluster_role("kinky:coredns", app=APP, rules=_rules()),
        build_cluster_role_binding(
            "kinky:coredns", app=APP, role="kinky:coredns", subject=service_account_subject(APP, namespace)
        ),
        build_config_map(APP, namespace, app=APP, data=data),
        _service(cfg),
        _deployment(cfg, data),
    )


def _rules() -> list[Body]:
    return [
        {"apiGroups": [""], "resources": ["namespaces", "services"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]


def _service(cfg: KinkyConfig) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": inner_metadata(SERVICE, app=APP, namespace=names.NAMESPACE_SYSTEM),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": str(dns_addresses(cfg).primary),
            "selector": app_selector(APP),
            "ports": [
                {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
            ],
        },
    }


def _deployment(cfg: KinkyConfig, data: dict[str, str]) -> Body:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": inner_metadata(APP, app=APP, namespace=names.NAMESPACE_SYSTEM),
        "spec": {
            "replicas": 2 if len(build_nodes(cfg)) >= _NODES_FOR_TWO else 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": app_selector(APP)},
            "template": {
                "metadata": pod_metadata(APP, config=data),
                "spec": {
                    # The node's resolver, or CoreDNS would ask itself.
                    "dnsPolicy": "Default",
                    "priorityClassName": "system-cluster-critical",
                    "serviceAccountName": APP,
                    "tolerations": list(pods.OUR_TAINTS),
                    "affinity": pods.prefer_workers(),
                    "topologySpreadConstraints": pods.spread(app_selector(APP)),
                    "containers": [_container(cfg)],
                    "volumes": [{"name": "config", "configMap": {"name": APP}}],
                },
            },
        },
    }


def _container(cfg: KinkyConfig) -> Body:
    return {
        "name": APP,
        "image": cfg.release.system_images["coredns"],
        "imagePullPolicy": pods.PULL_POLICY,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        # Until nobody asks a pod that goes. CoreDNS itself would wait too when its node stops, where nobody can ask it.
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "livenessProbe": pods.http_probe("/health", 8080, period_seconds=30, failures=5, delay_seconds=60),
        "readinessProbe": pods.http_probe("/ready", 8181, period_seconds=5, failures=6),
        "resources": pods.requests(cpu="20m", memory="40Mi"),
        "securityContext": pods.restricted(add=("NET_BIND_SERVICE",)),
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
