"""Whether the host has room for the VMs that do not exist yet: quotas, limits, nodes, volumes, ports."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.config.store_kinds import HOST_NAMESPACE
from kinky.fit.findings import Findings
from kinky.fit.launcher import CPU, GIB, MEMORY, Launcher, build_launcher, find_limit_ratio
from kinky.fit.limits import check_limit_ranges
from kinky.fit.nodes import check_nodes
from kinky.fit.ports import check_local_port, check_node_port
from kinky.fit.quota import Demand, build_claim_demand, build_pod_demand, check_quotas
from kinky.fit.reading import Reading
from kinky.fit.storage import check_storage, find_class
from kinky.kube import resources
from kinky.kube.connection import if_allowed
from kinky.kube.host import HostApi
from kinky.kube.records import QuotaStatus
from kinky.kube.resources import Resource
from kinky.manifests.store_values import store_values
from kinky.reach.exposure import FORWARD, LOAD_BALANCER
from kinky.topology.nodes import NodeSpec, build_nodes, control_planes, workers

QUOTA_HINT = "raise the quota, or lower replicas, memoryMib or etcdGib in the stack file"
LIMITS_HINT = "change memoryMib, cores or etcdGib in the stack file, or ask for another LimitRange in the namespace"
NODES_HINT = "free or add a node that fits (kubectl get nodes --show-labels), or lower memoryMib or cores"
STORAGE_HINT = "set controlPlane.etcdStorageClass to a StorageClass of the host, or ask for a default one"
PORTS_HINT = "choose another port in the stack file: access.localPort, access.nodePort"
PER_VM = ("virtualmachines.kubevirt.io", "virtualmachineinstances.kubevirt.io", "controllerrevisions.apps")
"""KubeVirt keeps a revision of each VM's spec at its start."""


def check_room(api: HostApi, cfg: KinkyConfig, reading: Reading, findings: Findings) -> None:
    """Compare the needs of the new objects with the host; raises ApiError when the host does not answer."""
    missing = reading.list_missing(cfg)
    quotas = [QuotaStatus.parse(body) for body in reading.quotas or []]
    launchers = _build_launchers(cfg, reading, quotas, missing)
    claims = _list_missing_claims(cfg, reading)
    demand = Demand(
        pods=build_pod_demand(launchers),
        claims=build_claim_demand(list(claims.values()), find_class(cfg, reading.storage_classes)),
        objects=_count_objects(api, cfg, quotas, missing),
        vms=len(missing),
    )
    priority_class = _fetch_priority_class(api, quotas)
    knows = reading.knows_launchers
    for shortage in check_quotas(quotas, demand, priority_class=priority_class, knows_launchers=knows):
        findings.refuse([shortage.text], QUOTA_HINT, certain=shortage.certain)
    sizes = {node: Decimal(gib * GIB) for node, gib in claims.items()}
    problems = check_limit_ranges(reading.limit_ranges or [], launchers, sizes)
    findings.refuse(problems, LIMITS_HINT, certain=knows)
    now = datetime.now(UTC) - api.clock_ahead
    problems, doubts = check_nodes(
        reading.nodes or [],
        reading.settings,
        launchers,
        cpu_model=cfg.virtual_machine.cpu_model,
        now=now,
        knows_launchers=knows,
    )
    findings.refuse(problems, NODES_HINT)
    findings.warnings += doubts
    if reading.storage_classes is not None:
        problems, doubts = check_storage(api, cfg, reading.storage_classes, list(claims.values()))
        findings.refuse(problems, STORAGE_HINT)
        findings.warnings += doubts
    problems, doubts = check_node_port(cfg, reading.services, api.namespace)
    findings.refuse([*check_local_port(cfg), *problems], PORTS_HINT)
    findings.warnings += doubts


def _build_launchers(
    cfg: KinkyConfig, reading: Reading, quotas: Sequence[QuotaStatus], nodes: Sequence[NodeSpec]
) -> list[Launcher]:
    """Build the launcher pods that these nodes' VMs get."""
    # KubeVirt ignores scopes: any quota for limits makes it set limits, whichever pods the quota counts.
    limited = {item for item in (CPU, MEMORY) if any(f"limits.{item}" in quota.hard for quota in quotas)}
    ratio = find_limit_ratio(reading.namespace_labels or {})
    logged = cfg.virtual_machine.serial_console_log == "always"
    settings = reading.settings
    return [build_launcher(node, settings, limited=limited, limit_ratio=ratio, logged=logged) for node in nodes]


def _list_missing_claims(cfg: KinkyConfig, reading: Reading) -> dict[str, int]:
    """List the nodes whose etcd volume does not exist yet, with its size in GiB; a retained volume exists."""
    if cfg.cluster.ephemeral or reading.claims is None:
        return {}
    present = {str(body["metadata"]["name"]) for body in reading.claims}
    planes = control_planes(build_nodes(cfg))
    return {node.name: node.etcd_gib or 0 for node in planes if names.etcd_claim(node.name) not in present}


def _count_objects(
    api: HostApi, cfg: KinkyConfig, quotas: Sequence[QuotaStatus], missing: Sequence[NodeSpec]
) -> dict[str, Decimal]:
    """Count the objects that do not exist yet, of the kinds that a quota counts."""
    if not missing:
        return {}
    counts = {f"count/{kind}": len(missing) for kind in PER_VM}
    asked = {item for quota in quotas if not quota.scopes for item in quota.hard}
    for resource, total in _list_totals(cfg).items():
        plural = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
        items = {f"count/{plural}", plural} & asked
        if items:
            counts |= dict.fromkeys(items, max(total - _count_present(api, cfg, resource), 0))
    ports = {"services.nodeports", "services.loadbalancers"} & asked
    if ports and cfg.access.mode != FORWARD:
        endpoint = api.fetch_here(resources.SERVICES, names.endpoint_service(cfg.cluster.name))
        counts["services.nodeports"] = 0 if endpoint else 1
        counts["services.loadbalancers"] = 1 if not endpoint and cfg.access.mode == LOAD_BALANCER else 0
    return {item: Decimal(count) for item, count in counts.items()}


def _list_totals(cfg: KinkyConfig) -> dict[Resource, int]:
    """Count the objects of each kind that a whole cluster has in its namespace at least."""
    nodes = build_nodes(cfg)
    in_host = cfg.secrets_store.kind == HOST_NAMESPACE
    values = len(store_values(cfg)) if in_host else 0
    return {
        # One for each node, and one for the endpoint; the host makes a slice for each.
        resources.SERVICES: len(nodes) + 1,
        resources.ENDPOINT_SLICES: len(nodes) + 1,
        # User-data of each node, credentials of each worker and of all control planes, and the store's values.
        resources.SECRETS: len(nodes) + len(workers(nodes)) + 1 + values,
        resources.CONFIG_MAPS: 1,
        resources.NETWORK_POLICIES: 1,
        resources.SERVICE_ACCOUNTS: int(in_host),
        resources.ROLES: int(in_host),
        resources.ROLE_BINDINGS: int(in_host),
    }


def _count_present(api: HostApi, cfg: KinkyConfig, resource: Resource) -> int:
    """Count this cluster's objects of one kind; without the right to list them, all count as existing."""
    found = if_allowed(lambda: api.fetch_all_here(resource, selector=names.cluster_selector(cfg.cluster.name)))
    return _list_totals(cfg)[resource] if found is None else len(found)


def _fetch_priority_class(api: HostApi, quotas: Sequence[QuotaStatus]) -> str | None:
    """Fetch the host's default priority class if a quota depends on it; empty without one, None if unknown."""
    if not any(scope.name == "PriorityClass" for quota in quotas for scope in quota.scopes):
        return ""
    classes = if_allowed(lambda: api.fetch_all(resources.PRIORITY_CLASSES))
    if classes is None:
        return None
    return next((str(body["metadata"]["name"]) for body in classes if body.get("globalDefault")), "")
