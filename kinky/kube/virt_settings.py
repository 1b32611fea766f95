"""Settings of the KubeVirt object that decide the requests of its launcher pods, and where they run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from kinky.kube.connection import JsonObject


@dataclass(frozen=True, kw_only=True)
class VirtSettings:
    """The settings, with KubeVirt 1.7's defaults."""

    emulates: bool = False
    """Whether VMs run without the kvm device, even on nodes that have it."""
    memory_overcommit: Decimal = Decimal(100)
    """Percentage: with 200 a pod asks for half of its guest's memory."""
    cpu_allocation_ratio: Decimal = Decimal(10)
    """Number of virtual processors for each processor that a pod requests."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    """Labels that the nodes of all VMs must have."""
    cpu_model: str = ""
    """Processor model of VMs without their own setting; empty means the node's model."""
    uses_image_volumes: bool = False
    """Whether container disks are volumes of the pod and need no container."""
    support: Mapping[str, JsonObject] = field(default_factory=dict)
    """Requests and limits of the containers beside the guest's, by their type, if they differ from the defaults."""

    @classmethod
    def parse(cls, body: JsonObject) -> "VirtSettings":
        """Parse a KubeVirt object as the API returned it."""
        configuration = (body.get("spec") or {}).get("configuration") or {}
        developer = configuration.get("developerConfiguration") or {}
        # A value that is not positive counts as absent, as in KubeVirt.
        overcommit, ratio = (int(developer.get(key) or 0) for key in ("memoryOvercommit", "cpuAllocationRatio"))
        return cls(
            emulates=bool(developer.get("useEmulation")),
            memory_overcommit=Decimal(overcommit if overcommit > 0 else 100),
            cpu_allocation_ratio=Decimal(ratio if ratio > 0 else 10),
            node_selector=dict(developer.get("nodeSelectors") or {}),
            cpu_model=str(configuration.get("cpuModel") or ""),
            support={
                str(item.get("type")): item.get("resources") or {}
                for item in configuration.get("supportContainerResources") or []
            },
            uses_image_volumes="ImageVolume" in (developer.get("featureGates") or []),
        )
