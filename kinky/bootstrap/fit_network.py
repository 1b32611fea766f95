"""Whether the inner networks leave the host's alone, as far as the host tells which it uses."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from kinky.config.model import KinkyConfig
from kinky.kube import resources
from kinky.kube.connection import ApiError, JsonObject
from kinky.kube.host import HostApi
from kinky.kube.resources import Resource

SERVICE_CIDRS = Resource("ServiceCIDR", "networking.k8s.io", "v1", "servicecidrs", namespaced=False)
POD_SAMPLE = 100
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class HostNetwork:
    """A network that the host uses, and how we know."""

    cidr: str
    source: str


def fetch_host_networks(api: HostApi, cfg: KinkyConfig) -> tuple[list[HostNetwork], list[str]]:
    """Read which networks the host uses; also returns what could not be read, for a warning."""
    found = [HostNetwork(cidr, "network.hostCidrs") for cidr in cfg.network.host_cidrs]
    unread: list[str] = []
    try:
        for node in api.fetch_all(resources.NODES):
            found += _read_node(node)
        found += _read_pods(api)
    except ApiError:
        unread.append("the host's nodes and pods are not readable, so its pod networks are unknown")
    try:
        ranges = [cidr for body in api.fetch_all(SERVICE_CIDRS) for cidr in body["spec"].get("cidrs") or []]
    except ApiError:
        ranges = []
    found += [HostNetwork(cidr, "the host's Services") for cidr in ranges]
    if not ranges:
        found += _read_api_service(api, unread)
    return found, unread


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


def _read_pods(api: HostApi) -> list[HostNetwork]:
    """Read some pods' addresses: many network plugins hand out addresses that no node's podCIDR tells."""
    addresses = [str(ip) for pod in api.fetch_sample(resources.PODS, limit=POD_SAMPLE) if (ip := _pod_ip(pod))]
    return [HostNetwork(address, "a pod of the host") for address in addresses]


def _pod_ip(pod: JsonObject) -> str:
    """Read a pod's own address; one on the host's network has its node's."""
    own = not (pod.get("spec") or {}).get("hostNetwork")
    return str((pod.get("status") or {}).get("podIP") or "") if own else ""


def _read_api_service(api: HostApi, unread: list[str]) -> list[HostNetwork]:
    """Read one address of the host's Service network, where the network itself is not readable."""
    try:
        service = api.fetch(resources.SERVICES, "kubernetes", namespace="default") or {}
    except ApiError:
        unread.append("the host's Service network is unknown")
        return []
    address = (service.get("spec") or {}).get("clusterIP")
    return [HostNetwork(str(address), "the host's Service kubernetes")] if address else []


def _overlap(one: str, other: str) -> bool:
    """Tell whether two networks (an address counts as one) have addresses in common."""
    first, second = _parse(one), _parse(other)
    return first.version == second.version and first.overlaps(second)


def _parse(text: str) -> Network:
    """Parse a network or an address."""
    return ipaddress.ip_network(text, strict=False)
