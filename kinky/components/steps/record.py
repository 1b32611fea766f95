"""The record of a cluster on the host: made before all else, gone when nothing else is left."""

from __future__ import annotations

import json
from dataclasses import dataclass

from kinky import names
from kinky.components.live_step import LiveStep, Step, StepInputs
from kinky.components.properties import Limit
from kinky.kube.host import HostApi
from kinky.manifests.body import Body
from kinky.ownership import lease, namespace, orphans, record, residue
from kinky.reach.reach import Reach


@dataclass(frozen=True, kw_only=True)
class LeaseTerms:
    """How long the host keeps the cluster, and for whom."""

    seconds: int
    holder: str
    """In the holder's own words; may be empty."""


@dataclass(frozen=True, kw_only=True)
class ClusterRecordInputs(StepInputs):
    """Which cluster it is, and what must go before its record."""

    stack: str
    """Organization, project and stack."""
    settings: str
    """Those that cannot change, as JSON: the engine would make each number a float."""
    create_namespace: bool
    namespace_body: Body
    residue_seconds: Limit
    retained: tuple[str, ...]
    """Kinds and names of the objects that stay."""
    lease: LeaseTerms | None = None
    """None: the cluster stays until it is destroyed."""


@dataclass(frozen=True, kw_only=True)
class ClusterRecordOutputs:
    """Other objects that were made beside the record."""

    namespace_created: bool
    owners: tuple[Body, ...]
    """The cluster's lease as an owner reference; empty without a lease."""


class ClusterRecordStep(Step[ClusterRecordInputs, ClusterRecordOutputs]):
    """Take the cluster's name on the host; give it back when nothing else is left."""

    def _run(self, inputs: ClusterRecordInputs, previous: ClusterRecordOutputs | None) -> ClusterRecordOutputs:
        host = inputs.reach.host()
        created = inputs.create_namespace and namespace.ensure_namespace(host, inputs.namespace_body)
        # Before the record, which names it as its owner: so each object can go with it.
        owners = _ensure_lease(host, inputs.stack, inputs.lease) if inputs.lease else ()
        taken_over = record.is_taken_over(inputs.access.cluster)
        record.ensure_record(host, inputs.stack, json.loads(inputs.settings), owners=owners, take_over=taken_over)
        if created:
            # After the record: it shows that the cluster is this stack's.
            namespace.ensure_ground(host, inputs.namespace_body)
        return ClusterRecordOutputs(namespace_created=created, owners=owners)

    def _undo(self, inputs: ClusterRecordInputs, outputs: ClusterRecordOutputs) -> None:
        cluster, host = inputs.access.cluster, inputs.reach.host()
        residue.remove_local_state(cluster)
        ignore = [f"ConfigMap/{names.cluster_record(cluster)}", *inputs.retained]
        orphans.delete_orphans(host, ignore=ignore)
        residue.wait_residue_gone(host, limit_seconds=inputs.residue_seconds, ignore=ignore)
        if inputs.lease:
            # The record goes with its owner.
            lease.end_lease(host)
            lease.wait_removed(host, limit_seconds=inputs.residue_seconds)
        else:
            record.delete_record(host)
        if outputs.namespace_created and not inputs.retained:
            namespace.delete_namespace(host, limit_seconds=inputs.residue_seconds)

    def _require_host(self, reach: Reach, *, is_made: bool) -> None:
        # Before a run there may be no record, and a cluster to be taken over still has the old one.
        reach.host().require_host(is_recorded=is_made)

    def _is_due(self, inputs: ClusterRecordInputs, outputs: ClusterRecordOutputs) -> bool:
        host = inputs.reach.host()
        if record.fetch_record(host, inputs.access.cluster) is None:
            if inputs.lease:
                # Only a program that can drop the state may begin a new cluster.
                raise lease.describe_ended(inputs.access)
            return True
        return outputs.namespace_created and namespace.is_ground_wrong(host, inputs.namespace_body)


def _ensure_lease(host: HostApi, stack: str, terms: LeaseTerms) -> tuple[Body, ...]:
    return tuple(lease.ensure_lease(host, seconds=terms.seconds, stack=stack, holder=terms.holder))


class ClusterRecord(LiveStep[ClusterRecordInputs, ClusterRecordOutputs]):
    """The cluster's record and the residue guard: created first, deleted last, when no other object is left."""

    step = ClusterRecordStep
