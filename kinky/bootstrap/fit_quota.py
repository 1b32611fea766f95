"""Whether the quotas of the namespace leave room for the VMs that are not there yet."""

import re
from collections.abc import Mapping, Sequence, Set
from fractions import Fraction

from kinky.kube.records import QuotaStatus
from kinky.topology.nodes import NodeSpec

LAUNCHER_OVERHEAD_MIB = 200
"""Memory that KubeVirt adds to a VM's own for its launcher; the least it takes, so that a refusal is never wrong."""

_MIB = 1024**2
_GIB = 1024**3
_SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(1024),
    "Mi": Fraction(1024**2),
    "Gi": Fraction(1024**3),
    "Ti": Fraction(1024**4),
    "Pi": Fraction(1024**5),
    "Ei": Fraction(1024**6),
}
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)")


def parse_quantity(text: str) -> Fraction:
    """Parse a Kubernetes quantity, such as 500m or 8Gi; raises ValueError on anything else."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None or match[2] not in _SUFFIXES:
        raise ValueError(f"not a quantity: {text}")
    return Fraction(match[1]) * _SUFFIXES[match[2]]


def build_demand(nodes: Sequence[NodeSpec]) -> dict[str, Fraction]:
    """Add up what these nodes will take of the namespace, by the names that quotas use."""
    memory = Fraction(sum(node.memory_mib + LAUNCHER_OVERHEAD_MIB for node in nodes) * _MIB)
    cores = Fraction(sum(node.cores for node in nodes))
    volumes = [node.etcd_gib for node in nodes if node.etcd_gib is not None]
    count = Fraction(len(nodes))
    return {
        "memory": memory,
        "requests.memory": memory,
        "limits.memory": memory,
        "limits.cpu": cores,
        "pods": count,
        "count/pods": count,
        "count/virtualmachines.kubevirt.io": count,
        "count/virtualmachineinstances.kubevirt.io": count,
        "requests.storage": Fraction(sum(volumes) * _GIB),
        "persistentvolumeclaims": Fraction(len(volumes)),
        # One Service for each node, and the endpoint's.
        "services": count,
        "count/services": count,
        # User-data and credentials of each node.
        "secrets": 2 * count,
        "count/secrets": 2 * count,
    }


def check_quotas(quotas: Sequence[QuotaStatus], nodes: Sequence[NodeSpec], *, present: Set[str]) -> list[str]:
    """Compare what quotas leave with what the nodes need whose VMs are not present; returns problems."""
    missing = [node for node in nodes if node.name not in present]
    if not missing:
        return []
    demand = build_demand(missing)
    return [line for quota in quotas for line in _check_quota(quota, demand, len(missing))]


def _check_quota(quota: QuotaStatus, demand: Mapping[str, Fraction], count: int) -> list[str]:
    """Compare one quota with the demand."""
    problems = []
    for item, limit in quota.hard.items():
        needed = demand.get(item, Fraction(0))
        free = parse_quantity(limit) - parse_quantity(quota.used.get(item, "0"))
        if needed > free:
            problems.append(
                f"quota {quota.name}: {item} leaves {format_amount(item, max(free, Fraction(0)))} of {limit},"
                f" {count} VMs need at least {format_amount(item, needed)}"
            )
    return problems


def format_amount(item: str, amount: Fraction) -> str:
    """Format an amount for people: memory and storage in MiB, else as a number."""
    if item.endswith(("memory", "storage")):
        return f"{float(amount / _MIB):.0f} MiB"
    return f"{float(amount):g}"
