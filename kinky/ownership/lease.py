"""The lease of a cluster on its host: made, read, renewed and ended; the host removes the cluster when it ends.

The lease is a Job without pods (docs/decisions/0045). Its time counts from its start, by the host's clock. So this
machine's clock is corrected by the host's answers before a time is computed from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

from kinky import names
from kinky.errors import HostError
from kinky.keys.certificates import parse_time
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import JsonObject, UnavailableError
from kinky.kube.host import HostApi
from kinky.kube.objects import is_condition_true
from kinky.manifests import lease as manifest
from kinky.ownership import residue
from kinky.ownership.record import fetch_record
from kinky.ownership.record_format import RecordError
from kinky.progress import note
from kinky.retry import Pending, wait_until

START_SECONDS = 60.0
"""The host's Job controller writes the start at once; a busy one takes seconds."""
END_SECONDS = 300.0
"""From the end of a lease to the last object: VMs shut down first, and volumes wait for their pods."""

ENDS = ("FailureTarget", "Failed")
"""Conditions of a Job whose deadline has passed, the earlier one first."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """One lease as the host has it."""

    cluster: str
    stack: str
    """Organization, project and stack, as Pulumi names them."""
    holder: str
    """The user of the cluster, in the holder's own words."""
    uid: str
    seconds: int
    """The time by which the lease is renewed."""
    started_at: datetime | None
    """None while the host's Job controller has not seen the Job, or somebody has suspended it."""
    deadline_seconds: int
    """Seconds from the start to the end."""
    is_over: bool
    """Whether the lease has ended and the host removes the cluster now."""

    @classmethod
    def parse(cls, body: JsonObject) -> Lease:
        """Parse a Job as the API returned it."""
        metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
        annotations = metadata.get("annotations") or {}
        deadline = int(spec.get("activeDeadlineSeconds") or 0)
        started = status.get("startTime")
        told = str(annotations.get(names.TTL_ANNOTATION, ""))
        return cls(
            cluster=str((metadata.get("labels") or {}).get(names.LABEL_CLUSTER, "")),
            stack=str(annotations.get(names.STACK_ANNOTATION, "")),
            holder=str(annotations.get(names.HOLDER_ANNOTATION, "")),
            uid=str(metadata.get("uid", "")),
            seconds=int(told) if told.isdecimal() else deadline,
            started_at=parse_time(str(started)) if started else None,
            deadline_seconds=deadline,
            is_over=bool(metadata.get("deletionTimestamp")) or any(is_condition_true(status, end) for end in ENDS),
        )

    @property
    def ends_at(self) -> datetime | None:
        """When the lease ends; None if it has not started."""
        return self.started_at and self.started_at + timedelta(seconds=self.deadline_seconds)


def fetch_lease(api: HostApi, cluster: str) -> Lease | None:
    """Fetch the lease of a cluster; None if it has none, or it has ended and is gone."""
    body = api.fetch_here(resources.JOBS, names.lease(cluster))
    return None if body is None else Lease.parse(body)


def fetch_leases(api: HostApi) -> list[Lease]:
    """Fetch all leases of the namespace, whoever made them, by the name of the cluster."""
    bodies = api.fetch_all_here(resources.JOBS, selector=f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY}")
    found = [Lease.parse(body) for body in bodies]
    return sorted((each for each in found if each.cluster), key=lambda each: each.cluster)


def ensure_lease(api: HostApi, *, seconds: int, stack: str, holder: str) -> list[JsonObject]:
    """Make the cluster's lease or renew it, and return it as the owner of all that the cluster has on the host.

    A lease of the same name that has just ended is waited for: its cluster has to be gone first.

    Raises:
        HostError: The host does not start the Job, or a cluster without a lease exists.
    """
    cluster = api.access.cluster
    present = fetch_lease(api, cluster)
    record = fetch_record(api, cluster)
    if record is not None and not record.owners:
        raise HostError(
            f"cluster.lease: inner cluster {cluster} was made without a lease, and cannot get one",
            hint="remove cluster.lease from the stack file; or destroy the cluster first, with everything in it",
        )
    if present is not None and present.is_over:
        wait_removed(api)
        present = None
    if present is None:
        body = manifest.build_lease(cluster, seconds=seconds, stack=stack, holder=holder)
        api.create(resources.JOBS, body, namespace=api.namespace)
    started = _wait_started(api, cluster)
    if present is not None:
        _renew(api, started, seconds=seconds, stack=stack, holder=holder)
    return [manifest.build_owner(cluster, started.uid)]


def renew_lease(api: HostApi, *, seconds: int = 0, may_shorten: bool = False) -> Lease:
    """Let the lease end this time from now, and return it.

    Args:
        seconds: The time; 0 means the original time of the lease.
        may_shorten: Whether the lease may end earlier than without this call.

    Raises:
        HostError: The cluster has no lease, or it has ended.
    """
    present = fetch_lease(api, api.access.cluster)
    if present is None or present.is_over:
        raise describe_ended(api.access)
    started = present if present.started_at else _wait_started(api, api.access.cluster)
    return _renew(
        api,
        started,
        seconds=seconds or present.seconds,
        stack=present.stack,
        holder=present.holder,
        may_shorten=may_shorten,
    )


def end_lease(api: HostApi) -> bool:
    """End the lease now; False without a lease. The host then removes the cluster by itself."""
    cluster = api.access.cluster
    if fetch_lease(api, cluster) is None:
        return False
    return api.delete(resources.JOBS, names.lease(cluster), namespace=api.namespace)


def require_leased(api: HostApi) -> None:
    """Make sure that no cluster without a lease has this name.

    Raises:
        HostError: There is one.
    """
    record = fetch_record(api, api.access.cluster)
    if record is not None and not record.owners:
        raise HostError(
            f"inner cluster {api.access.cluster} in namespace {api.namespace} was made without a lease, and cannot get"
            " one",
            hint="kinky destroy removes it; then kinky up --ttl makes a new one",
        )


def wait_removed(api: HostApi, *, limit_seconds: float = END_SECONDS) -> None:
    """Wait until the lease is gone and the host holds nothing of its cluster.

    Raises:
        WaitError: Something is left; it names each object.
    """
    cluster = api.access.cluster

    def gone() -> bool | Pending:
        return True if fetch_lease(api, cluster) is None else Pending("the host has not removed the Job yet")

    wait_until(
        gone,
        what=f"the end of the lease of inner cluster {cluster}",
        deadline_seconds=limit_seconds,
        every_seconds=0.5,
        tolerate=(UnavailableError,),
    )
    residue.wait_residue_gone(api, limit_seconds=limit_seconds)


def has_ended(api: HostApi) -> bool:
    """Tell whether the lease of the access's cluster has ended; a cluster that never had one has not ended.

    A record with another identity belongs to a later cluster of that name. One that cannot be read is still there:
    the host has not removed the cluster, and a destroy shall.
    """
    access = api.access
    api.require_host(is_recorded=False)
    try:
        record = fetch_record(api, access.cluster)
    except RecordError:
        return False
    if record is not None and record.cluster_id != access.cluster_id:
        return True
    if record is not None and not record.owners:
        return False
    present = fetch_lease(api, access.cluster)
    return present is None or present.is_over


def describe_ended(access: HostAccess) -> HostError:
    """Describe that there is no lease any more."""
    return HostError(
        f"inner cluster {access.cluster} in namespace {access.namespace} has no lease, or its lease has ended:"
        " the host removes all of its objects",
        hint="kinky lease list shows the leases of the namespace; kinky up makes a new cluster",
    )


def _renew(api: HostApi, present: Lease, *, seconds: int, stack: str, holder: str, may_shorten: bool = False) -> Lease:
    """Write the new deadline, and what people read about the lease."""
    if present.started_at is None:
        return present
    now = datetime.now(UTC) - api.clock_ahead
    deadline = ceil((now - present.started_at).total_seconds()) + seconds
    wanted = deadline if may_shorten else max(deadline, present.deadline_seconds)
    body = {
        "metadata": {"annotations": manifest.build_annotations(seconds=seconds, stack=stack, holder=holder)},
        "spec": {"activeDeadlineSeconds": wanted},
    }
    return Lease.parse(api.patch(resources.JOBS, names.lease(present.cluster), body, namespace=api.namespace))


def _wait_started(api: HostApi, cluster: str) -> Lease:
    """Wait until the host's Job controller has started the clock of the lease.

    Raises:
        HostError: It does not: the Job is suspended, or no controller runs. The Job is removed.
    """

    def started() -> Lease | Pending:
        body = api.fetch_here(resources.JOBS, names.lease(cluster))
        if body is None:
            raise HostError(f"Job {api.namespace}/{names.lease(cluster)} was removed while it started")
        found = Lease.parse(body)
        suspended = bool((body.get("spec") or {}).get("suspend"))
        return found if found.started_at else Pending("the Job is suspended" if suspended else "it has no start time")

    return wait_until(
        started,
        what=f"start of the lease of inner cluster {cluster}, Job {api.namespace}/{names.lease(cluster)}",
        deadline_seconds=START_SECONDS,
        every_seconds=0.5,
        hint="the host may queue or suspend Jobs (such as Kueue): exempt this namespace, or remove cluster.lease",
        tolerate=(UnavailableError,),
    )


def tell_renewed(lease: Lease) -> None:
    """Tell a person when the lease ends now."""
    note(f"the lease of {lease.cluster} ends at {lease.ends_at:%Y-%m-%d %H:%M:%S} UTC")
