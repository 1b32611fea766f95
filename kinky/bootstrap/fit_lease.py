"""Whether the host lets the cluster have its lease: asked by a dry run, so that quotas and policies answer too."""

from kinky.bootstrap.fit_findings import Findings
from kinky.bootstrap.record import fetch_record
from kinky.config.model import KinkyConfig
from kinky.kube import resources
from kinky.kube.connection import ApiError, if_allowed
from kinky.kube.host import HostApi
from kinky.manifests.lease import build_lease

NEW_CLUSTER = "set it back; or destroy the cluster first, with everything in it"


def check_lease(cfg: KinkyConfig, api: HostApi, stack: str, findings: Findings) -> None:
    """Refuse a lease that an existing cluster cannot get or lose, and one that the host refuses."""
    lease, cluster = cfg.cluster.lease, cfg.cluster.name
    record = if_allowed(lambda: fetch_record(api, cluster))
    if record is not None and lease is None and record.owners:
        findings.refuse(["cluster.lease = null: the cluster was made with a lease, and cannot lose it"], NEW_CLUSTER)
    if record is not None and lease is not None and not record.owners:
        findings.refuse(
            [f"cluster.lease.ttl = {lease.ttl}: the cluster was made without a lease, and cannot get one"], NEW_CLUSTER
        )
    if record is not None or lease is None:
        return
    body = build_lease(cluster, seconds=lease.seconds, stack=stack, holder=lease.holder or "")
    try:
        api.try_create(resources.JOBS, body, namespace=api.namespace)
    except ApiError as error:
        # A missing right is told with all others.
        if error.status == 403 and not api.is_allowed("create", resources.JOBS):
            return
        findings.refuse(
            [f"cluster.lease: the host refuses the Job that is the lease: {error.message}"],
            "exempt Jobs that make no pod from the policy or the quota, or remove cluster.lease",
        )
