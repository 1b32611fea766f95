"""The existing cluster, and names that are taken: read before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from kinky import names
from kinky.config.change import find_refused
from kinky.config.model import KinkyConfig
from kinky.fit.rights import PARALLEL_CALLS
from kinky.kube.connection import JsonObject
from kinky.kube.host import HostApi
from kinky.kube.resources import Resource
from kinky.manifests.host_names import list_host_names
from kinky.ownership.orphans import KINDS
from kinky.ownership.record import (
    RIVALS_HINT,
    TAKE_OVER_HINT,
    describe_conflict,
    describe_rivals,
    find_rivals,
    is_taken_over,
    read_kept,
)
from kinky.ownership.record_format import ClusterRecord

Refusal = tuple[list[str], str]
"""Problems of one sort, and a hint."""


def check_record(cfg: KinkyConfig, api: HostApi, stack: str, found: ClusterRecord | None) -> Iterator[Refusal]:
    """Yield the reasons why this stack is not allowed to make or change its cluster in this namespace.

    Args:
        found: The record of the cluster, if it exists.
    """
    cluster = cfg.cluster.name
    if found is not None:
        yield _check_stack(api, cluster, found, stack), TAKE_OVER_HINT
        refused = [str(problem) for problem in find_refused(found.settings, cfg)] + _check_lease(cfg, found)
        yield refused, "set it back; or destroy the cluster first, with everything in it"
    rivals = find_rivals(api, cluster)
    yield ([describe_rivals(api.namespace, cluster, rivals)] if rivals else []), RIVALS_HINT
    yield _find_foreign(cfg, api), "choose another cluster.name or host.namespace, or remove them"
    yield _check_kept(cluster, stack), "choose another cluster.name, or another KINKY_STATE_DIR for one of them"


def _check_stack(api: HostApi, cluster: str, found: ClusterRecord, stack: str) -> list[str]:
    """Compare the stack's name; the state itself is compared later, once it is read."""
    if found.stack == stack or is_taken_over(cluster):
        return []
    return [describe_conflict(api, cluster, found).message]


def _check_lease(cfg: KinkyConfig, found: ClusterRecord) -> list[str]:
    """Compare with the owner that every object of the cluster has, or has not, since it was made."""
    lease = cfg.cluster.lease
    if lease is None and found.owners:
        return ["cluster.lease = null: the cluster was made with a lease, and cannot lose it"]
    if lease is not None and not found.owners:
        return [f"cluster.lease.ttl = {lease.ttl}: the cluster was made without a lease, and cannot get one"]
    return []


def _find_foreign(cfg: KinkyConfig, api: HostApi) -> list[str]:
    """Find objects that do not belong to the cluster, but have a name that `up` would write to."""
    wanted, cluster = list_host_names(cfg), cfg.cluster.name

    def fetch(resource: Resource) -> list[JsonObject]:
        return api.fetch_all(resource, namespace=api.namespace, metadata_only=True)

    with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        found = list(pool.map(fetch, KINDS))
    foreign = []
    for resource, bodies in zip(KINDS, found, strict=True):
        for body in bodies:
            metadata = body["metadata"]
            label = (metadata.get("labels") or {}).get(names.LABEL_CLUSTER)
            if (resource.kind, metadata["name"]) in wanted and label != cluster:
                maker = f"belongs to cluster {label}" if label else "was not made by kinky"
                foreign.append(f"{resource.kind} {api.namespace}/{metadata['name']} {maker}")
    return foreign


def _check_kept(cluster: str, stack: str) -> list[str]:
    """Compare with the files of this machine: one folder belongs to one cluster, and has its name."""
    kept = read_kept(cluster)
    if not kept or kept["stack"] == stack:
        return []
    return [f"this machine keeps files of another cluster {cluster}, of stack {kept['stack']}"]
