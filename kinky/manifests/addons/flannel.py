"""The inner pod network: flannel with VXLAN between S-addresses.

The node image writes the CNI configuration when flannel has its subnet, so the DaemonSet has one container.
"""

from __future__ import annotations

import json
from typing import Final

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.manifests import pods
from kinky.manifests.body import (
    Body,
    build_cluster_role,
    build_cluster_role_binding,
    build_config_map,
    build_service_account,
    service_account_subject,
)

APP: Final = "flannel"
VXLAN_OVERHEAD_BYTES: Final = 50


def build_flannel(cfg: KinkyConfig) -> tuple[Body, ...]:
    """Return flannel's objects in the order of creation."""
    namespace = names.NAMESPACE_SYSTEM
    data = {"net-conf.json": json.dumps(_network(cfg), indent=2) + "\n"}
    return (
        build_service_account(APP, namespace, mount_token=True),
        build_cluster_role("kinky:flannel", app=APP, rules=_rules()),
        build_cluster_role_binding(
            "kinky:flannel", app=APP, role="kinky:flannel", subject=service_account_subject(APP, namespace)
        ),
        build_config_map(APP, namespace, app=APP, data=data),
        pods.build_node_daemon_set(
            APP,
            data=data,
            container=_container(cfg),
            volumes=[
                {"name": "run", "hostPath": {"path": "/run/flannel", "type": "DirectoryOrCreate"}},
                {"name": "lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}},
            ],
        ),
    )


def _network(cfg: KinkyConfig) -> Body:
    backend: Body = {"Type": "vxlan", "Port": cfg.network.overlay_port}
    if cfg.network.mtu is not None:
        # flannel wants the MTU of the network below and subtracts its header; ours is the MTU that pods see.
        backend["MTU"] = cfg.network.mtu + VXLAN_OVERHEAD_BYTES
    return {"Network": cfg.network.pod_cidrs[0], "EnableNFTables": True, "Backend": backend}


def _rules() -> list[Body]:
    return [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
    ]


def _container(cfg: KinkyConfig) -> Body:
    return {
        "name": APP,
        "image": cfg.release.system_images["flannel"],
        "imagePullPolicy": pods.PULL_POLICY,
        "command": ["/flanneld"],
        # Packets leave from eth0 but peers know the node by its S-address.
        "args": ["--kube-subnet-mgr", "--ip-masq", "--iface=eth0", "--public-ip=$(NODE_IP)"],
        "env": [
            pods.from_field("NODE_NAME", "spec.nodeName"),
            pods.from_field("NODE_IP", "status.hostIP"),
            # By the endpoint's name in the node's /etc/hosts: the Service address would need kube-proxy first.
            pods.variable("KUBERNETES_SERVICE_HOST", names.endpoint_host(cfg.cluster.name)),
            pods.variable("KUBERNETES_SERVICE_PORT", str(names.ENDPOINT_PORT)),
        ],
        # The node waits for it: with less of a claim it starts after all else that a busy control plane has to do.
        "resources": pods.requests(cpu="100m", memory="50Mi"),
        "securityContext": {"privileged": False, "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}},
        "volumeMounts": [
            {"name": "run", "mountPath": "/run/flannel"},
            {"name": "lock", "mountPath": "/run/xtables.lock"},
            {"name": "config", "mountPath": "/etc/kube-flannel", "readOnly": True},
        ],
    }
