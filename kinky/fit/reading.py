"""The state of the host, read once and in parallel; a kind that we cannot read is absent, and not an error."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from kinky.config.model import KinkyConfig
from kinky.fit.rights import PARALLEL_CALLS
from kinky.kube import resources
from kinky.kube.connection import JsonObject, if_allowed
from kinky.kube.host import HostApi
from kinky.kube.virt_settings import VirtSettings
from kinky.names import cluster_selector
from kinky.topology.nodes import NodeSpec, build_nodes

POD_SAMPLE = 100
Objects = list[JsonObject] | None
"""Objects of one kind; None when we have no right to read them."""
PURPOSES = {
    "nodes": "room for the VMs, networks of pods",
    "pods": "networks of pods",
    "kubevirts": "KubeVirt's settings",
    "storageclasses": "the StorageClass of the etcd volumes",
    "services": "access.nodePort",
    "resourcequotas": "quotas",
    "limitranges": "limit ranges",
}
"""The check that is skipped when a kind cannot be read; for other kinds there is another report."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The host, as far as it can be read."""

    nodes: Objects
    pods: Objects
    """Pods of all namespaces, perhaps not all of them."""
    service_cidrs: Objects
    kubevirts: Objects
    storage_classes: Objects
    services: Objects
    """Services of all namespaces; empty when nobody needs them."""
    vms: Objects
    """Those of this cluster."""
    claims: Objects
    """Those of this cluster."""
    quotas: Objects
    limit_ranges: Objects
    namespace_labels: Mapping[str, str] | None
    unread: str
    """The warning about kinds that could not be read, in one line; empty when everything was read."""

    @property
    def settings(self) -> VirtSettings:
        """KubeVirt's settings, or its defaults where they cannot be read."""
        return VirtSettings.parse(self.kubevirts[0] if self.kubevirts else {})

    @property
    def knows_launchers(self) -> bool:
        """Tell whether the requests of launcher pods follow from settings that were read, and not from defaults."""
        return bool(self.kubevirts) and self.namespace_labels is not None

    def list_missing(self, cfg: KinkyConfig) -> list[NodeSpec]:
        """List the nodes whose VMs do not exist yet; existing VMs have their resources already."""
        if self.vms is None:
            return []
        present = {str(body["metadata"]["name"]) for body in self.vms}
        return [node for node in build_nodes(cfg) if node.name not in present]


def fetch_reading(
    api: HostApi, cfg: KinkyConfig, *, exists: bool, served: bool, labels: Mapping[str, str] | None
) -> Reading:
    """Read the host; raises ApiError when it does not answer.

    Args:
        exists: Whether the namespace may exist; a missing one holds nothing.
        served: Whether the API of KubeVirt is served.
        labels: The namespace's labels, None when they cannot be read.
    """
    here = partial(api.fetch_all, namespace=api.namespace)
    own = partial(here, selector=cluster_selector(cfg.cluster.name))
    asks: dict[str, Callable[[], list[JsonObject]]] = {
        "nodes": lambda: api.fetch_all(resources.NODES),
        "pods": lambda: api.fetch_sample(resources.PODS, limit=POD_SAMPLE),
        "servicecidrs": lambda: api.fetch_all(resources.SERVICE_CIDRS),
        "storageclasses": lambda: [] if cfg.cluster.ephemeral else api.fetch_all(resources.STORAGE_CLASSES),
        "services": lambda: api.fetch_all(resources.SERVICES) if cfg.access.node_port else [],
        "kubevirts": lambda: api.fetch_all(resources.KUBEVIRTS) if served else [],
        "virtualmachines": lambda: own(resources.VIRTUAL_MACHINES) if served and exists else [],
        "persistentvolumeclaims": lambda: own(resources.PVCS) if exists and not cfg.cluster.ephemeral else [],
        "resourcequotas": lambda: here(resources.RESOURCE_QUOTAS) if exists else [],
        "limitranges": lambda: here(resources.LIMIT_RANGES) if exists else [],
    }
    with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        found = dict(zip(asks, pool.map(if_allowed, asks.values()), strict=True))
    return Reading(
        nodes=found["nodes"],
        pods=found["pods"],
        service_cidrs=found["servicecidrs"],
        kubevirts=found["kubevirts"],
        storage_classes=found["storageclasses"],
        services=found["services"],
        vms=found["virtualmachines"],
        claims=found["persistentvolumeclaims"],
        quotas=found["resourcequotas"],
        limit_ranges=found["limitranges"],
        namespace_labels=labels,
        unread=_describe_unread([kind for kind, objects in found.items() if objects is None]),
    )


def _describe_unread(kinds: list[str]) -> str:
    """Describe in one line the kinds that cannot be read, and the checks that are skipped."""
    told = [f"{kind} ({PURPOSES[kind]})" for kind in kinds if kind in PURPOSES]
    return f"not checked, because your rights on the host do not let you read them: {', '.join(told)}" if told else ""
