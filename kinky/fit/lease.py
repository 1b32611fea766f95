"""Whether the host lets the cluster have its lease: asked by a dry run, so that quotas and policies answer too."""

from kinky.config.model import KinkyConfig
from kinky.fit.findings import Findings
from kinky.kube import resources
from kinky.kube.connection import ApiError
from kinky.kube.host import HostApi
from kinky.manifests.lease import build_lease
from kinky.ownership.lease import fetch_lease


def check_lease(cfg: KinkyConfig, api: HostApi, stack: str, findings: Findings) -> None:
    """Refuse a lease that the host refuses; an existing one is renewed and needs no more room in a quota."""
    lease, cluster = cfg.cluster.lease, cfg.cluster.name
    if lease is None:
        return
    try:
        if fetch_lease(api, cluster) is not None:
            return
        body = build_lease(cluster, seconds=lease.seconds, stack=stack, holder=lease.holder or "")
        api.try_create(resources.JOBS, body, namespace=api.namespace)
    except ApiError as error:
        # A missing right is told with all others.
        if error.status == 403 and not api.is_allowed("create", resources.JOBS):
            return
        findings.refuse(
            [f"cluster.lease: the host refuses the Job that is the lease: {error.message}"],
            "exempt Jobs that make no pod from the policy or the quota, or remove cluster.lease",
        )
