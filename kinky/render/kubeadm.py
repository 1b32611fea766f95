"""The kubeadm documents of a control plane: given CAs, static etcd, the same phases at every boot.

All control planes get the same ClusterConfiguration, so it is also what `kubeadm upgrade` would read.
Field names are those of kubeadm.k8s.io/v1beta4, the same in all releases.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.render.document import render_document
from kinky.render.kubelet import CRI_SOCKET, PKI_DIR, build_kubelet_configuration, build_taints
from kinky.topology.addresses import Addresses
from kinky.topology.nodes import NodeSpec, control_planes

API_VERSION: Final = "kubeadm.k8s.io/v1beta4"
ETCD_DATA_DIR: Final = "/var/lib/etcd/data"
ETCD_CLIENT_PORT: Final = 2379
ETCD_PEER_PORT: Final = 2380
PATCHES_DIR: Final = "/usr/lib/kinky/patches"
"""Patches of the static pods; part of the node image, because they belong to one Kubernetes version."""

_COMPONENT_START_SECONDS: Final = 900
"""A cold API server needs 60 to 260 s under emulation (measured); kubeadm's own 240 s would be too short at times."""
_API_CALL_SECONDS: Final = 120
_CONTROLLER_CALLS: Final = {"kube-api-qps": "100", "kube-api-burst": "200"}
"""Each controller asks for an account and a token before all start: with the default of 20 calls a second, 5 s."""


def build_kubeadm_documents(
    cfg: KinkyConfig, node: NodeSpec, nodes: Sequence[NodeSpec], addresses: Addresses
) -> tuple[dict[str, Any], ...]:
    """Return InitConfiguration, ClusterConfiguration and KubeletConfiguration of one control plane."""
    return (
        _init_configuration(cfg, node, addresses),
        _cluster_configuration(cfg, control_planes(nodes), addresses),
        build_kubelet_configuration(cfg, node),
    )


def render_documents(documents: Sequence[dict[str, Any]]) -> str:
    """Return the documents as one YAML text."""
    return "---\n".join(render_document(document) for document in documents)


def _init_configuration(cfg: KinkyConfig, node: NodeSpec, addresses: Addresses) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "InitConfiguration",
        "localAPIEndpoint": {
            "advertiseAddress": str(addresses.nodes[node.name].primary),
            "bindPort": names.ENDPOINT_PORT,
        },
        "nodeRegistration": {"name": node.name, "criSocket": CRI_SOCKET, "taints": build_taints(node)},
        "patches": {"directory": PATCHES_DIR},
        "timeouts": {
            "controlPlaneComponentHealthCheck": _scaled(cfg, _COMPONENT_START_SECONDS),
            "kubernetesAPICall": _scaled(cfg, _API_CALL_SECONDS),
        },
    }


def _cluster_configuration(cfg: KinkyConfig, planes: Sequence[NodeSpec], addresses: Addresses) -> dict[str, Any]:
    elect = "true" if len(planes) > 1 else "false"
    # Nobody to elect against, and its renewals are steady load on etcd: measured to overrun two emulated cores.
    election = {"leader-elect": elect, "profiling": "false"}
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterConfiguration",
        "clusterName": cfg.cluster.name,
        "kubernetesVersion": cfg.cluster.kubernetes_version,
        "controlPlaneEndpoint": f"{names.endpoint_host(cfg.cluster.name)}:{names.ENDPOINT_PORT}",
        "imageRepository": names.IMAGE_PREFIX,
        "certificatesDir": PKI_DIR,
        "encryptionAlgorithm": "ECDSA-P256",
        # Leaf certificates are made again at each boot; two years is the longest a node may run without one.
        "certificateValidityPeriod": "17520h0m0s",
        "networking": {
            "podSubnet": ",".join(cfg.network.pod_cidrs),
            "serviceSubnet": ",".join(cfg.network.service_cidrs),
            "dnsDomain": cfg.cluster.domain,
        },
        "apiServer": {
            "certSANs": build_api_server_names(cfg, planes, addresses),
            "extraArgs": _arguments(
                {
                    "encryption-provider-config": f"{PKI_DIR}/encryption-config.yaml",
                    # Workers come with a signed certificate, so there is no token to accept.
                    "enable-bootstrap-token-auth": "false",
                    "profiling": "false",
                }
            ),
            **_plugin_volumes(cfg),
        },
        "controllerManager": {"extraArgs": _arguments({**election, "controllers": "*", **_CONTROLLER_CALLS})},
        "scheduler": {"extraArgs": _arguments(election)},
        # Declared by the program, so that there is one owner.
        "dns": {"disabled": True},
        "proxy": {"disabled": True},
        "etcd": {"local": _local_etcd(cfg, planes, addresses)},
    }


def _plugin_volumes(cfg: KinkyConfig) -> dict[str, Any]:
    """Return the folder of the KMS plugin's socket for the API server's pod, if a KMS encrypts."""
    if cfg.encryption.kms_socket is None:
        return {}
    # The folder, because a plugin that starts again makes a new socket. One can connect through a read-only mount.
    folder = str(PurePosixPath(cfg.encryption.kms_socket).parent)
    mount = {"name": names.KMS, "hostPath": folder, "mountPath": folder, "readOnly": True, "pathType": "Directory"}
    return {"extraVolumes": [mount]}


def build_api_server_names(cfg: KinkyConfig, planes: Sequence[NodeSpec], addresses: Addresses) -> list[str]:
    """Return the names and addresses that every API server's certificate holds besides kubeadm's own."""
    own = [text for plane in planes for text in addresses.nodes[plane.name].texts]
    return [names.endpoint_host(cfg.cluster.name), *addresses.endpoint.texts, *own, "localhost", "127.0.0.1"]


def _local_etcd(cfg: KinkyConfig, planes: Sequence[NodeSpec], addresses: Addresses) -> dict[str, Any]:
    hosts = {plane.name: addresses.nodes[plane.name].primary_host for plane in planes}
    members = [f"{name}=https://{host}:{ETCD_PEER_PORT}" for name, host in hosts.items()]
    return {
        "dataDir": ETCD_DATA_DIR,
        "imageTag": cfg.release.etcd_tag,
        # advertise-client-urls must stay kubeadm's: it would be copied into the API server's --etcd-servers.
        "extraArgs": _arguments(
            {
                "initial-cluster": ",".join(members),
                "initial-cluster-state": "new",
                "initial-cluster-token": cfg.cluster.name,
                # Packets for the S-address arrive at the NIC's address, so etcd listens on all of them.
                "listen-client-urls": f"https://0.0.0.0:{ETCD_CLIENT_PORT}",
                "listen-peer-urls": f"https://0.0.0.0:{ETCD_PEER_PORT}",
                # Behind NAT a peer's source address is not in its certificate; the etcd CA is private.
                "peer-skip-client-san-verification": "true",
            }
        ),
    }


def _arguments(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _scaled(cfg: KinkyConfig, seconds: int) -> str:
    return f"{round(cfg.timeouts.seconds(seconds))}s"
