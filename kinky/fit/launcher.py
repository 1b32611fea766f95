"""The smallest requests of KubeVirt's launcher pod for one VM, so that a refusal is never wrong.

Numbers are those of KubeVirt 1.7 (pkg/virt-controller/services/renderresources.go).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from kinky.kube.connection import JsonObject
from kinky.kube.quantities import parse_quantity
from kinky.kube.records import KVM_DEVICE
from kinky.kube.virt_settings import VirtSettings
from kinky.topology.nodes import NodeSpec

CPU, MEMORY, STORAGE = "cpu", "memory", "ephemeral-storage"
MIB = 1024**2
GIB = 1024**3
OVERHEAD_MIB = 200
"""Memory that KubeVirt adds to a VM's own for its launcher, rounded down over its versions."""
LIMIT_RATIO_LABEL = "alpha.kubevirt.io/auto-memory-limits-ratio"
"""Label of a namespace: the factor from a launcher's memory request to the limit that KubeVirt sets."""
LIMIT_RATIO = Decimal(2)
DEVICE = "devices.kubevirt.io/"
Amounts = Mapping[str, Decimal]


@dataclass(frozen=True)
class Container:
    """One container: its smallest requests, and its limits, if it has any."""

    name: str
    requests: Amounts
    limits: Amounts


@dataclass(frozen=True)
class Launcher:
    """The pod of one VM."""

    node: str
    compute: Container
    """The container with the guest."""
    others: tuple[Container, ...]
    """The containers that run beside it."""
    initial: tuple[Container, ...]
    """The containers that end before it starts."""

    @property
    def containers(self) -> tuple[Container, ...]:
        """All containers."""
        return (self.compute, *self.others, *self.initial)

    @property
    def total(self) -> Container:
        """The whole pod, without the containers that end before the guest starts: they are smaller than the guest."""
        running = (self.compute, *self.others)
        return Container(
            "pod", _add_up([each.requests for each in running]), _add_up([each.limits for each in running])
        )


def build_launcher(
    node: NodeSpec, settings: VirtSettings, *, limited: Collection[str], limit_ratio: Decimal, logged: bool
) -> Launcher:
    """Build the launcher of a node's VM.

    Args:
        limited: Resources (cpu, memory) for whose limits the namespace has a quota: KubeVirt then sets a limit.
        limit_ratio: The factor from the memory request to the memory limit.
        logged: Whether the pod keeps the guest's console output.
    """
    memory = Decimal(node.memory_mib) * MIB * 100 / settings.memory_overcommit + OVERHEAD_MIB * MIB
    requests = {CPU: node.cores / settings.cpu_allocation_ratio, MEMORY: memory, STORAGE: parse_quantity("50M")}
    limits = {DEVICE + "tun": Decimal(1)}
    if not settings.emulates:
        limits |= {KVM_DEVICE: Decimal(1), DEVICE + "vhost-net": Decimal(1)}
    # The request of an extended resource equals its limit.
    requests |= limits
    if MEMORY in limited:
        limits[MEMORY] = memory * limit_ratio
    if CPU in limited:
        limits[CPU] = Decimal(node.cores)
    others, initial = [], []
    if logged:
        resources = settings.support.get("guest-console-log", {})
        others.append(_build_small("guest-console-log", resources, cpu=("5m", "15m"), memory=("35M", "60M")))
    if not settings.uses_image_volumes:
        resources = settings.support.get("container-disk", {})
        others.append(_build_small("volumeroot", resources, cpu=("1m", "10m"), memory=("1M", "40M")))
        initial.append(_build_small("container-disk-binary", resources, cpu=("10m", "100m"), memory=("1M", "40M")))
    return Launcher(node.name, Container("compute", requests, limits), tuple(others), tuple(initial))


def find_limit_ratio(labels: Mapping[str, str]) -> Decimal:
    """Find the factor from a launcher's memory request to its limit, by the labels of the namespace."""
    try:
        ratio = parse_quantity(labels.get(LIMIT_RATIO_LABEL, ""))
    except ValueError:
        return LIMIT_RATIO
    return ratio if ratio >= 1 else LIMIT_RATIO


def format_amount(item: str, amount: Decimal) -> str:
    """Format an amount for people: memory and storage in MiB, else as a number."""
    if item.endswith(("memory", "storage")):
        return f"{float(amount / MIB):.0f} MiB"
    return f"{float(amount):g}"


def _build_small(name: str, resources: JsonObject, *, cpu: tuple[str, str], memory: tuple[str, str]) -> Container:
    """Build a container from default requests and limits, or from KubeVirt's settings where these have others."""
    amounts = (
        {CPU: cpu[place], MEMORY: memory[place]} | (resources.get(key) or {})
        for place, key in enumerate(("requests", "limits"))
    )
    requests, limits = ({item: parse_quantity(str(text)) for item, text in each.items()} for each in amounts)
    return Container(name, requests, limits)


def _add_up(amounts: list[Amounts]) -> dict[str, Decimal]:
    return {
        item: sum((each[item] for each in amounts if item in each), Decimal(0)) for each in amounts for item in each
    }
