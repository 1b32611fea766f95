"""From networks to the addresses with a fixed meaning, and the addresses that the host gave."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig


DNS_SERVICE_OFFSET = 10
"""kubeadm's convention for the cluster DNS, which the kubelets are told."""


@dataclass(frozen=True)
class AddressList:
    """The addresses of one thing: one for each family, the primary one first."""

    listed: tuple[IPv4Address | IPv6Address, ...]

    def __post_init__(self) -> None:
        """Refuse a list without a primary, and two addresses of one family."""
        families = [each.version for each in self.listed]
        if not families or len(set(families)) < len(families):
            raise ValueError(f"needs one address for each family, got: {self.texts or 'none'}")

    @classmethod
    def parse(cls, texts: Sequence[str]) -> AddressList:
        """Parse addresses as an API writes them; raises ValueError when one of them is no address."""
        return cls(tuple(map(ipaddress.ip_address, texts)))

    @property
    def primary(self) -> IPv4Address | IPv6Address:
        """Return the address of the primary family: where one place has room for a single address."""
        return self.listed[0]

    @property
    def primary_host(self) -> str:
        """Return the primary address as the host of a URL."""
        return f"[{self.primary}]" if self.primary.version == 6 else str(self.primary)

    @property
    def texts(self) -> list[str]:
        """Return all addresses as texts."""
        return [str(each) for each in self.listed]


@dataclass(frozen=True)
class Addresses:
    """The addresses that the host gave to the cluster's Services; they last as long as the Services."""

    endpoint: AddressList
    """Addresses of the endpoint Service (E)."""
    nodes: Mapping[str, AddressList]
    """Addresses of each node's Service (S) by the node's name."""

    @classmethod
    def parse(cls, *, endpoint: Sequence[str], nodes: Mapping[str, Sequence[str]]) -> Addresses:
        """Parse what the host's API answered; raises ValueError when something of it is no address."""
        parsed = {name: AddressList.parse(texts) for name, texts in nodes.items()}
        return cls(endpoint=AddressList.parse(endpoint), nodes=parsed)


def dns_addresses(cfg: KinkyConfig) -> AddressList:
    """Return the addresses of the inner cluster's DNS."""
    return _pick(cfg, DNS_SERVICE_OFFSET)


def api_addresses(cfg: KinkyConfig) -> AddressList:
    """Return the addresses of the inner API's own Service, the first one of each Service network."""
    return _pick(cfg, 1)


def _pick(cfg: KinkyConfig, offset: int) -> AddressList:
    return AddressList(tuple(ipaddress.ip_network(cidr)[offset] for cidr in cfg.network.service_cidrs))
