"""Whether the inner networks leave the host's alone, as far as the host tells which it uses."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from kinky.config.model import KinkyConfig
from kinky.fit.reading import Reading
from kinky.kube import resources
from kinky.kube.connection import ApiError, JsonObject
from kinky.kube.host import HostApi

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class HostNetwork:
    """A network that the host uses, and how we know."""

    cidr: str
    source: str


def list_host_networks(
    cfg: KinkyConfig, reading: Reading, api_service: JsonObject | None
) -> tuple[list[HostNetwork], list[str]]:
    """List the networks that the host uses, with a warning for each unknown one.

    Args:
        api_service: The Service `default/kubernetes`, for hosts that do not show their Service networks.
    """
    found = [HostNetwork(cidr, "network.hostCidrs") for cidr in cfg.network.host_cidrs]
    for node in reading.nodes or []:
        found += _read_node(node)
    addresses = [str(ip) for pod in reading.pods or [] if (ip := _pod_ip(pod))]
    # Many network plugins hand out addresses that are in no node's podCIDR.
    found += [HostNetwork(address, "a pod of the host") for address in addresses]
    ranges = list_service_ranges(reading)
    found += [HostNetwork(cidr, "the host's Services") for cidr in ranges]
    if ranges:
        return found, []
    if api_service is None:
        return found, ["the host's Service network is unknown"]
    return found + [HostNetwork(address, "the host's Service kubernetes") for address in _list_ips(api_service)], []


def list_service_ranges(reading: Reading) -> list[str]:
    """List the networks of the host's Services; empty where the host does not show them."""
    return [str(cidr) for body in reading.service_cidrs or [] for cidr in body["spec"].get("cidrs") or []]


def fetch_api_service(api: HostApi) -> JsonObject | None:
    """Fetch the Service of the host's own API; None when that is not allowed."""
    try:
        return api.fetch(resources.SERVICES, "kubernetes", namespace="default") or {}
    except ApiError:
        return None


def check_families(reading: Reading, api_service: JsonObject | None) -> tuple[list[str], list[str]]:
    """Check whether the host's Services can have IPv4 addresses, as ours need; returns problems and warnings."""
    ranges = list_service_ranges(reading)
    if ranges:
        has_ipv4 = any(_parse(cidr).version == 4 for cidr in ranges)
        text = f"the host's Services have no IPv4 addresses, which the cluster's Services need: {', '.join(ranges)}"
        return ([] if has_ipv4 else [text]), []
    addresses = _list_ips(api_service or {})
    if not addresses or any(_parse(address).version == 4 for address in addresses):
        return [], []
    # This Service has one family even on a host with two.
    return [], [f"the host's Services may have no IPv4 addresses: its Service kubernetes has {addresses[0]}"]


def check_overlaps(cfg: KinkyConfig, host: Iterable[HostNetwork]) -> list[str]:
    """Compare the inner networks with the host's; returns problems."""
    problems = []
    inner = [("network.podCidrs", cidr) for cidr in cfg.network.pod_cidrs]
    inner += [("network.serviceCidrs", cidr) for cidr in cfg.network.service_cidrs]
    known = dict.fromkeys(host)
    for key, cidr in inner:
        told: set[str] = set()
        for network in known:
            # One line for each source: a host's hundred pods are one reason.
            if network.source not in told and _overlap(cidr, network.cidr):
                told.add(network.source)
                problems.append(f"{key} = {cidr}: overlaps {network.cidr} of {network.source}")
    return problems


def _read_node(node: JsonObject) -> list[HostNetwork]:
    """Read a host node's pod networks and addresses."""
    name = node["metadata"]["name"]
    spec, status = node.get("spec") or {}, node.get("status") or {}
    cidrs = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    found = [HostNetwork(cidr, f"pods of host node {name}") for cidr in cidrs]
    addresses = [item["address"] for item in status.get("addresses") or [] if item["type"].endswith("IP")]
    return found + [HostNetwork(address, f"host node {name}") for address in addresses]


def _pod_ip(pod: JsonObject) -> str:
    """Read a pod's own address; one on the host's network has its node's."""
    own = not (pod.get("spec") or {}).get("hostNetwork")
    return str((pod.get("status") or {}).get("podIP") or "") if own else ""


def _list_ips(service: JsonObject) -> list[str]:
    """List the addresses of a Service."""
    spec = service.get("spec") or {}
    found = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return [str(address) for address in found if address and address != "None"]


def _overlap(one: str, other: str) -> bool:
    """Tell whether two networks (an address counts as one) have addresses in common."""
    first, second = _parse(one), _parse(other)
    return first.version == second.version and first.overlaps(second)


def _parse(text: str) -> Network:
    """Parse a network or an address."""
    return ipaddress.ip_network(text, strict=False)
