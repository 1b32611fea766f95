"""From where a status is judged: a prober inside the cluster would judge itself."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Collection, Iterable
from typing import Final

from kinky.config.model import KinkyConfig
from kinky.errors import ConfigError
from kinky.status.parallel import Job, run_side_by_side
from kinky.status.target import Target

HOST_SECONDS: Final = 2.0


def fetch_own_addresses(server: str) -> set[str]:
    """Return addresses of this machine: by its name, and its source address for the server."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        found |= {str(item[4][0]) for item in socket.getaddrinfo(socket.gethostname(), None)}
    # A connected UDP socket sends nothing, and tells the source address.
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((server, 9))
        found.add(str(probe.getsockname()[0]))
    return found


def find_inside(config: KinkyConfig, own: Iterable[str], nodes: Collection[str] = ()) -> str:
    """Return the own address that lies inside the cluster: of a pod, a Service or a node; empty when none does."""
    networks = [ipaddress.ip_network(cidr) for cidr in (*config.network.pod_cidrs, *config.network.service_cidrs)]
    for text in sorted(own):
        address = ipaddress.ip_address(text.partition("%")[0])
        if text in nodes or any(address in network for network in networks if network.version == address.version):
            return text
    return ""


def fetch_node_addresses(target: Target) -> set[str]:
    """Return the addresses of the cluster's nodes; none when the host does not tell soon."""
    job = Job(
        work=lambda: set(target.fetch_addresses().values()),
        limit_seconds=HOST_SECONDS,
        late=set[str],
        failed=lambda _error: set[str](),
    )
    return run_side_by_side({"addresses": job})["addresses"]


def check_vantage(config: KinkyConfig, own: Iterable[str], *, allowed: bool, nodes: Collection[str] = ()) -> str:
    """Return the label of a vantage inside, or empty for one outside; raises ConfigError unless inside is allowed."""
    inside = find_inside(config, own, nodes)
    if inside and not allowed:
        raise ConfigError(
            f"vantage: this machine has the address {inside}, which is inside the cluster that it would judge",
            hint="run it from where users are; --allow-inside judges all the same and says so",
        )
    return f"inside:{inside}" if inside else ""
