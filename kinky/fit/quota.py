"""Whether the quotas of the namespace leave room for the objects that do not exist yet.

Which objects a quota counts, and by which scopes, follows pkg/quota/v1/evaluator/core of Kubernetes 1.36.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from kinky.fit.launcher import CPU, GIB, MEMORY, STORAGE, Launcher, format_amount
from kinky.kube.quantities import parse_quantity
from kinky.kube.records import QuotaScope, QuotaStatus

CLASS_SUFFIX = ".storageclass.storage.k8s.io/"


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The amounts that `up` will add to the namespace, by the names that quotas use."""

    pods: Mapping[str, Decimal]
    claims: Mapping[str, Decimal]
    objects: Mapping[str, Decimal]
    """Numbers of objects of all other kinds; no scope applies to them."""
    vms: int


@dataclass(frozen=True)
class Shortage:
    """One thing that does not fit."""

    text: str
    certain: bool
    """Whether it depends only on values that were read, and on no assumed default."""


def build_pod_demand(launchers: Sequence[Launcher]) -> dict[str, Decimal]:
    """Add up the requests and limits of launcher pods."""
    count = Decimal(len(launchers))
    demand = {"pods": count, "count/pods": count}
    for launcher in launchers:
        # The small containers beside the guest's are left out: a setting of KubeVirt decides their size.
        for item, amount in launcher.compute.requests.items():
            keys = (item, f"requests.{item}") if item in (CPU, MEMORY, STORAGE) else (f"requests.{item}",)
            for key in keys:
                demand[key] = demand.get(key, Decimal(0)) + amount
        for item, amount in launcher.compute.limits.items():
            if item in (CPU, MEMORY):
                demand[f"limits.{item}"] = demand.get(f"limits.{item}", Decimal(0)) + amount
    return demand


def build_claim_demand(gib: Sequence[int], storage_class: str) -> dict[str, Decimal]:
    """Add up claims of these sizes; an empty StorageClass means that it is not known."""
    count, size = Decimal(len(gib)), Decimal(sum(gib) * GIB)
    demand = {"persistentvolumeclaims": count, "count/persistentvolumeclaims": count, "requests.storage": size}
    if storage_class:
        prefix = f"{storage_class}{CLASS_SUFFIX}"
        demand |= {f"{prefix}persistentvolumeclaims": count, f"{prefix}requests.storage": size}
    return demand


def check_quotas(
    quotas: Sequence[QuotaStatus], demand: Demand, *, priority_class: str | None, knows_launchers: bool
) -> list[Shortage]:
    """Compare the rest of each quota with the objects that do not exist yet.

    Args:
        knows_launchers: Whether KubeVirt's settings for processors and memory could be read.
        priority_class: Default class of the host for pods that name no class, or empty; None when it is unknown.
    """
    return [
        Shortage(text, (knows_launchers or not _is_computed(item)) and not _is_unsure(quota, priority_class))
        for quota in quotas
        for item, text in _check_quota(quota, demand, priority_class or "")
    ]


def _is_computed(item: str) -> bool:
    """Tell whether KubeVirt's settings decide how much of this a launcher requests."""
    return item.endswith((CPU, MEMORY))


def _is_unsure(quota: QuotaStatus, priority_class: str | None) -> bool:
    """Tell whether it is unknown which pods a quota counts."""
    return priority_class is None and any(scope.name == "PriorityClass" for scope in quota.scopes)


def _check_quota(quota: QuotaStatus, demand: Demand, priority_class: str) -> Iterator[tuple[str, str]]:
    """Compare one quota with the objects that it counts; yields each item that is short, with the problem in words."""
    counted: dict[str, Decimal] = {}
    if not quota.scopes:
        counted |= demand.objects
    if all(_counts_claims(scope) for scope in quota.scopes):
        counted |= demand.claims
    if all(_counts_launchers(scope, priority_class) for scope in quota.scopes):
        counted |= demand.pods
    for item, limit in quota.hard.items():
        needed = counted.get(item, Decimal(0))
        free = max(parse_quantity(limit) - parse_quantity(quota.used.get(item, "0")), Decimal(0))
        if needed > free:
            yield (
                item,
                f"quota {quota.name}: {item} leaves {format_amount(item, free)} of {limit},"
                f" {demand.vms} VMs need at least {format_amount(item, needed)}",
            )


def _counts_launchers(scope: QuotaScope, priority_class: str) -> bool:
    """Tell whether launcher pods are in a scope: they have requests and no deadline, and name no priority class."""
    match scope.name:
        case "NotBestEffort" | "NotTerminating":
            return True
        case "PriorityClass":
            return _selects(scope, priority_class)
        case _:
            return False


def _counts_claims(scope: QuotaScope) -> bool:
    """Tell whether our claims are in a scope: they name no VolumeAttributesClass."""
    return scope.name == "VolumeAttributesClass" and _selects(scope, "")


def _selects(scope: QuotaScope, value: str) -> bool:
    """Tell whether a scope selects a value; an empty one is absent."""
    match scope.operator:
        case "Exists":
            return bool(value)
        case "DoesNotExist":
            return not value
        case "In":
            return bool(value) and value in scope.values
        case "NotIn":
            return value not in scope.values
        case _:
            return False
