"""The clients that can reach the VMs, for hosts whose network enforces policies; other hosts ignore it.

A port-forward enters a pod beside its network, so `access.mode: forward` needs no rule of its own.
"""

from __future__ import annotations

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.manifests.body import Body, host_metadata


def build_network_policy(cfg: KinkyConfig) -> Body:
    """Return the policy: everything between nodes of the cluster; from elsewhere the API and the published ports."""
    nodes = {"podSelector": {"matchLabels": {names.LABEL_CLUSTER: cfg.cluster.name}}}
    # The API is open to all, because probes and load balancers come from addresses that no selector can name.
    open_ports = [{"protocol": "TCP", "port": names.ENDPOINT_PORT}]
    for port in cfg.published_ports:
        open_ports += [{"protocol": protocol, "port": port} for protocol in ("TCP", "UDP")]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": host_metadata(cfg, names.network_policy(cfg.cluster.name)),
        "spec": {
            "podSelector": nodes["podSelector"],
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [nodes]}, {"ports": open_ports}],
        },
    }
