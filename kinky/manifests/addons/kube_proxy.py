"""Inner Services: kube-proxy in nftables mode, told the API's address by name so that it does not need itself."""

from __future__ import annotations

import json
from typing import Final

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.manifests import pods
from kinky.manifests.body import (
    Body,
    build_cluster_role_binding,
    build_config_map,
    build_service_account,
    service_account_subject,
)

APP: Final = "kube-proxy"
CONFIG_DIR: Final = "/var/lib/kube-proxy"
ACCOUNT_DIR: Final = "/var/run/secrets/kubernetes.io/serviceaccount"


def build_kube_proxy(cfg: KinkyConfig) -> tuple[Body, ...]:
    """Return kube-proxy's objects in the order of creation."""
    namespace = names.NAMESPACE_SYSTEM
    data = {
        "config.conf": json.dumps(_configuration(cfg), indent=2) + "\n",
        "kubeconfig.conf": json.dumps(_kubeconfig(cfg), indent=2) + "\n",
    }
    return (
        build_service_account(APP, namespace, mount_token=True),
        build_cluster_role_binding(
            "kinky:kube-proxy", app=APP, role="system:node-proxier", subject=service_account_subject(APP, namespace)
        ),
        build_config_map(APP, namespace, app=APP, data=data),
        pods.build_node_daemon_set(APP, data=data, container=_container(cfg), volumes=()),
    )


def _configuration(cfg: KinkyConfig) -> Body:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": ",".join(cfg.network.pod_cidrs),
        "clientConnection": {"kubeconfig": f"{CONFIG_DIR}/kubeconfig.conf"},
        # A guest that is a container cannot write this limit, and kube-proxy would end. For VMs the node image has it
        # (sysctl.d).
        "conntrack": {"maxPerCore": 0, "min": 0},
        # Packets for a node arrive at its NIC's address, which is not the address the node is known by:
        # nftables mode would serve NodePorts on the latter alone.
        "nodePortAddresses": ["0.0.0.0/0"],
        "healthzBindAddress": "0.0.0.0:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }


def _kubeconfig(cfg: KinkyConfig) -> Body:
    server = f"https://{names.endpoint_host(cfg.cluster.name)}:{names.ENDPOINT_PORT}"
    cluster = {"server": server, "certificate-authority": f"{ACCOUNT_DIR}/ca.crt"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "default",
        "clusters": [{"name": "default", "cluster": cluster}],
        "users": [{"name": "default", "user": {"tokenFile": f"{ACCOUNT_DIR}/token"}}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
    }


def _container(cfg: KinkyConfig) -> Body:
    return {
        "name": APP,
        "image": cfg.release.system_images["kube-proxy"],
        "imagePullPolicy": pods.PULL_POLICY,
        "command": ["kube-proxy"],
        "args": [f"--config={CONFIG_DIR}/config.conf", "--hostname-override=$(NODE_NAME)"],
        "env": [pods.from_field("NODE_NAME", "spec.nodeName")],
        "resources": pods.requests(cpu="20m", memory="50Mi"),
        # It sets how long idle connections are tracked.
        "securityContext": {"privileged": True},
        "volumeMounts": [{"name": "config", "mountPath": CONFIG_DIR, "readOnly": True}],
    }
