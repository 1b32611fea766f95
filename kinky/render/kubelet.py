"""The kubelet's configuration, one for both roles, and the flags that are a node's own."""

from __future__ import annotations

import re
from typing import Any, Final

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.errors import ConfigError
from kinky.topology.addresses import Addresses, dns_addresses
from kinky.topology.nodes import NodeSpec

PKI_DIR: Final = "/etc/kubernetes/pki"
STATIC_POD_DIR: Final = "/etc/kubernetes/manifests"
CRI_SOCKET: Final = "unix:///run/containerd/containerd.sock"
CONTROL_PLANE_TAINT: Final = "node-role.kubernetes.io/control-plane"

_FLAG_VALUE: Final = re.compile(r"[A-Za-z0-9./:=,_-]*")


def build_kubelet_configuration(cfg: KinkyConfig, node: NodeSpec) -> dict[str, Any]:
    """Return the KubeletConfiguration document (kubelet.config.k8s.io/v1beta1)."""
    document: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "systemd",
        # A guest that is a container has the machine's cgroups, which may be of version 1.
        "failCgroupV1": False,
        "containerRuntimeEndpoint": CRI_SOCKET,
        "clusterDNS": dns_addresses(cfg).texts,
        "clusterDomain": cfg.cluster.domain,
        # Named, or kubeadm would choose by whether systemd-resolved happens to run.
        "resolvConf": "/etc/resolv.conf",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{PKI_DIR}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        # Signed by the cluster's CA before the kubelet starts, so nothing has to approve a request for it.
        "serverTLSBootstrap": False,
        "tlsCertFile": f"{PKI_DIR}/kubelet-serving.crt",
        "tlsPrivateKeyFile": f"{PKI_DIR}/kubelet-serving.key",
        "rotateCertificates": True,
        "healthzBindAddress": "127.0.0.1",
        # The API still says Ready of a node that has just been replaced. So its kubelet reports NotReady first, and
        # Ready at its next look, which by default comes 10 s later. It sends only what changed.
        "nodeStatusUpdateFrequency": "2s",
        "nodeStatusReportFrequency": "5m",
        # Every image that the system needs is in the node image and can be had nowhere else: never collect images.
        # At 100 the kubelet does not even look; the low threshold only has to be lower.
        "imageMaximumGCAge": "0s",
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        # The root disk is built just large enough for its content: kubelet's 15 % would mean disk pressure for ever. In
        # bytes, because a container guest stands on the machine's disk, where 5 % are many gigabytes.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "200Mi",
            "nodefs.inodesFree": "3%",
            "imagefs.available": "40Mi",
        },
    }
    if node.is_control_plane:
        document["staticPodPath"] = STATIC_POD_DIR
    return document


def render_kubelet_env(cfg: KinkyConfig, node: NodeSpec, addresses: Addresses) -> str:
    """Return the EnvironmentFile with the kubelet's flags of this node; raises ConfigError for odd values."""
    labels = {
        names.LABEL_CLUSTER: cfg.cluster.name,
        names.LABEL_ROLE: node.role,
        names.LABEL_POOL: node.pool,
        **node.labels,
    }
    flags = {
        "--node-ip": ",".join(addresses.nodes[node.name].texts),
        "--hostname-override": node.name,
        "--node-labels": ",".join(f"{key}={value}" for key, value in labels.items()),
    }
    taints = [f"{taint['key']}={taint.get('value', '')}:{taint['effect']}" for taint in build_taints(node)]
    if taints:
        flags["--register-with-taints"] = ",".join(taints)
    for flag, value in flags.items():
        # systemd would split or expand anything else in this file.
        if not _FLAG_VALUE.fullmatch(value):
            raise ConfigError(f"node {node.name}: kubelet flag {flag} = {value!r}: must not hold spaces or quotes")
    arguments = " ".join(f"{flag}={value}" for flag, value in flags.items())
    return f'KUBELET_EXTRA_ARGS="{arguments}"\n'


def build_taints(node: NodeSpec) -> list[dict[str, str]]:
    """Return the taints that the node registers with, as Kubernetes objects.

    A control plane always has its own. A worker has the gate's, until the gate opens; a kubelet does not put it back
    on a Node object that exists.
    """
    taints = [_parse_taint(taint) for taint in node.taints]
    if not node.is_control_plane:
        return [*taints, {"key": names.GATE_TAINT, "effect": "NoSchedule"}]
    if all(taint["key"] != CONTROL_PLANE_TAINT for taint in taints):
        taints.insert(0, {"key": CONTROL_PLANE_TAINT, "effect": "NoSchedule"})
    return taints


def _parse_taint(text: str) -> dict[str, str]:
    named, _, effect = text.rpartition(":")
    key, _, value = named.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})
