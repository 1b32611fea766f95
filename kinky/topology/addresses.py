"""From networks to the addresses with a fixed meaning, and the addresses that the host gave."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from kinky import names
from kinky.config.model import KinkyConfig

API_SERVICE_OFFSET = 1
"""Kubernetes itself takes the first address of the Service network for its API."""
DNS_SERVICE_OFFSET = 10
"""kubeadm's convention for the cluster DNS, which the kubelets are told."""


@dataclass(frozen=True)
class Addresses:
    """The addresses that the host gave to the cluster's Services; they last as long as the Services."""

    endpoint_ip: str
    """Address of the endpoint Service (E)."""
    node_ips: Mapping[str, str]
    """Address of each node's Service (S) by the node's name."""


def api_service_ip(cfg: KinkyConfig) -> str:
    """Return the address of the Service `kubernetes` inside the inner cluster."""
    return _service_ip(cfg, API_SERVICE_OFFSET)


def dns_ip(cfg: KinkyConfig) -> str:
    """Return the address of the inner cluster's DNS."""
    return _service_ip(cfg, DNS_SERVICE_OFFSET)


def endpoint_name(cluster: str) -> str:
    """Return the DNS name of the inner API, which guests find in /etc/hosts and clients check in its certificate."""
    return names.endpoint_host(cluster)


def _service_ip(cfg: KinkyConfig, offset: int) -> str:
    return str(ipaddress.ip_network(cfg.network.service_cidrs[0])[offset])
