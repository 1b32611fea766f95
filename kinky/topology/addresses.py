"""From networks to the addresses with a fixed meaning, and the addresses that the host gave."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig


DNS_SERVICE_OFFSET = 10
"""kubeadm's convention for the cluster DNS, which the kubelets are told."""


@dataclass(frozen=True)
class Addresses:
    """The addresses that the host gave to the cluster's Services; they last as long as the Services."""

    endpoint_ip: str
    """Address of the endpoint Service (E)."""
    node_ips: Mapping[str, str]
    """Address of each node's Service (S) by the node's name."""


def dns_ip(cfg: KinkyConfig) -> str:
    """Return the address of the inner cluster's DNS."""
    return str(ipaddress.ip_network(cfg.network.service_cidrs[0])[DNS_SERVICE_OFFSET])


def api_ip(cfg: KinkyConfig) -> str:
    """Return the address of the inner API's own Service, the first one of the Service network."""
    return str(ipaddress.ip_network(cfg.network.service_cidrs[0])[1])
