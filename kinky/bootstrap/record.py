"""The record of a cluster on its host: its stack, its identity, and its settings that cannot change."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from kinky import names, paths
from kinky.bootstrap.certificates import format_time
from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import JsonObject
from kinky.kube.host import HostApi
from kinky.kube.kubeconfig import write_private
from kinky.kube.ownership import CLUSTER_ID_KEY, FORGET_HINT, describe_maker

TAKE_OVER = "KINKY_TAKE_OVER"
"""Variable with the name of the cluster that the next `up` takes over; `kinky up --take-over` sets it."""
TAKE_OVER_HINT = (
    "choose another cluster.name or host.namespace; if that stack's state is lost: kinky up --take-over "
    "(docs/troubleshooting.md)"
)
RIVALS_HINT = "choose another host.namespace, or a cluster.name without the other name and a hyphen at its start"
KEPT_FILE = "identity.json"


@dataclass(frozen=True, kw_only=True)
class ClusterRecord:
    """The data about a cluster on the host; nothing of it is secret."""

    stack: str
    """Organization, project and stack, as Pulumi names them."""
    cluster_id: str
    host_uid: str
    made_at: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that an existing cluster cannot change, by their key."""
    owners: tuple[JsonObject, ...] = ()
    """The cluster's lease as an owner reference; empty for a cluster without a lease."""

    @classmethod
    def parse(cls, body: JsonObject) -> ClusterRecord:
        """Parse the record as the API returned it; a damaged one has no settings."""
        data: Mapping[str, str] = body.get("data") or {}
        try:
            settings = json.loads(data.get("settings") or "{}")
        except ValueError:
            settings = {}
        return cls(
            stack=data.get("stack", ""),
            cluster_id=data.get(CLUSTER_ID_KEY, ""),
            host_uid=data.get("hostUid", ""),
            made_at=data.get("madeAt", ""),
            settings=settings if isinstance(settings, dict) else {},
            owners=tuple((body.get("metadata") or {}).get("ownerReferences") or ()),
        )

    def build(self, cluster: str) -> JsonObject:
        """Build the ConfigMap."""
        metadata: JsonObject = {"name": names.cluster_record(cluster), "labels": names.cluster_labels(cluster)}
        metadata |= {"ownerReferences": list(self.owners)} if self.owners else {}
        return {"metadata": metadata, "data": self.build_data()}

    def build_data(self) -> dict[str, str]:
        """Build the ConfigMap's data."""
        return {
            "stack": self.stack,
            CLUSTER_ID_KEY: self.cluster_id,
            "hostUid": self.host_uid,
            "madeAt": self.made_at,
            "settings": json.dumps(dict(self.settings), sort_keys=True),
        }


def fetch_record(api: HostApi, cluster: str) -> ClusterRecord | None:
    """Read the record of a cluster; None when the namespace holds no such cluster."""
    body = api.fetch_here(resources.CONFIG_MAPS, names.cluster_record(cluster))
    return None if body is None else ClusterRecord.parse(body)


def ensure_record(
    access: HostAccess,
    stack: str,
    settings: Mapping[str, Any],
    *,
    owners: Sequence[JsonObject] = (),
    take_over: bool = False,
) -> None:
    """Write the cluster's record with the identity of the access.

    Args:
        owners: The cluster's lease, as `ensure_lease` returns it.
        take_over: Whether to take the cluster from another state, which then cannot change it any more.

    Raises:
        HostError: The cluster belongs to another stack, or another cluster here could have the same names.
    """
    api = HostApi.connect(access)
    present = fetch_record(api, access.cluster)
    if present is not None and present.cluster_id != access.cluster_id and not take_over:
        raise describe_conflict(api, access.cluster, present)
    if rivals := find_rivals(api, access.cluster):
        raise _rivals_error(api, access.cluster, rivals)
    wanted = ClusterRecord(
        stack=stack,
        cluster_id=access.cluster_id,
        host_uid=access.host_uid,
        made_at=(present.made_at if present else "") or format_time(datetime.now(UTC)),
        settings=settings,
        owners=tuple(owners),
    )
    body = wanted.build(access.cluster)
    if present is not None and present.cluster_id != access.cluster_id:
        _take_over(access, body)
    elif not api.create(resources.CONFIG_MAPS, body, namespace=api.namespace) and present != wanted:
        api.patch(
            resources.CONFIG_MAPS, names.cluster_record(access.cluster), {"data": body["data"]}, namespace=api.namespace
        )
    # Two clusters that start at the same time may both get here: now each sees the other's record.
    if present is None and (rivals := find_rivals(api, access.cluster)):
        delete_record(access)
        raise _rivals_error(api, access.cluster, rivals)


def is_taken_over(cluster: str) -> bool:
    """Tell whether the admin wants to take the cluster over."""
    return os.environ.get(TAKE_OVER) == cluster


def delete_record(access: HostAccess) -> None:
    """Remove the record of the cluster, if it still exists."""
    api = HostApi.connect(access)
    api.delete(resources.CONFIG_MAPS, names.cluster_record(access.cluster), namespace=api.namespace)


def fetch_clusters(api: HostApi) -> list[str]:
    """Fetch the names of the clusters that have a record in the namespace."""
    found = api.fetch_all_here(resources.CONFIG_MAPS, selector=f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY}")
    labelled = ((body["metadata"]["name"], body["metadata"]["labels"].get(names.LABEL_CLUSTER, "")) for body in found)
    return sorted(cluster for name, cluster in labelled if name == names.cluster_record(cluster))


def find_rivals(api: HostApi, cluster: str) -> list[str]:
    """Find the other clusters of the namespace that could have objects with the same names as this cluster's."""
    return [other for other in fetch_clusters(api) if names.are_rivals(cluster, other)]


def describe_rivals(namespace: str, cluster: str, rivals: list[str]) -> str:
    """Describe that two clusters in one namespace could give one name to two objects."""
    return f"namespace {namespace} holds cluster {', '.join(rivals)}, whose names could be those of cluster {cluster}"


def describe_conflict(api: HostApi, cluster: str, present: ClusterRecord) -> HostError:
    """Describe that a cluster of this name belongs to another state."""
    return HostError(
        f"namespace {api.namespace} already holds a cluster {cluster} of another stack: {present.stack or 'unknown'}",
        details=[f"its record says that {describe_maker(present.build_data())}"],
        hint=TAKE_OVER_HINT,
    )


def keep_identity(access: HostAccess, stack: str) -> None:
    """Store on this machine which cluster its files belong to."""
    kept = {"stack": stack, "host_uid": access.host_uid, "cluster_id": access.cluster_id}
    write_private(paths.stack_dir(access.cluster) / KEPT_FILE, json.dumps(kept).encode())


def forget_identity(cluster: str) -> None:
    """Remove this note from the machine."""
    (paths.stack_dir(cluster) / KEPT_FILE).unlink(missing_ok=True)


def read_kept(cluster: str) -> dict[str, str]:
    """Read which cluster the files of that name on this machine belong to; empty when that is not known."""
    try:
        kept = json.loads((paths.stack_dir(cluster) / KEPT_FILE).read_text())
        return {key: str(kept[key]) for key in ("stack", "host_uid", "cluster_id")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def with_kept(access: HostAccess) -> HostAccess:
    """Return the access with the identity that this machine keeps, without a call to the host."""
    kept = read_kept(access.cluster)
    return replace(access, host_uid=kept.get("host_uid", ""), cluster_id=kept.get("cluster_id", ""))


def is_there(access: HostAccess) -> bool:
    """Tell whether the cluster of this identity is on the host; raises KinkyError when the host does not answer."""
    api = HostApi.connect(access)
    found = fetch_record(api, access.cluster)
    return found is not None and found.cluster_id == access.cluster_id


def recognise(access: HostAccess, stack: str) -> HostAccess:
    """Return the access with the identity of the stack's cluster, after comparing it with the host's.

    Args:
        stack: Name of the stack, without organization and project.

    Raises:
        HostError: It is another host, or the host holds no such cluster of this stack.
    """
    kept = read_kept(access.cluster)
    if kept and kept["stack"].rpartition("/")[2] == stack:
        known = with_kept(access)
        HostApi.connect(known).require_host()
        return known
    api = HostApi.connect(access)
    found = fetch_record(api, access.cluster)
    if found is None:
        raise HostError(
            f"{api.target} ({api.server}): namespace {access.namespace} holds no inner cluster {access.cluster}",
            hint=f"kinky up --stack {stack} makes it; if it was made on another host: {FORGET_HINT}",
        )
    if found.stack.rpartition("/")[2] != stack:
        raise describe_conflict(api, access.cluster, found)
    return replace(access, host_uid=found.host_uid, cluster_id=found.cluster_id)


def _rivals_error(api: HostApi, cluster: str, rivals: list[str]) -> HostError:
    return HostError(describe_rivals(api.namespace, cluster, rivals), hint=RIVALS_HINT)


def _take_over(access: HostAccess, body: JsonObject) -> None:
    """Write another identity into the record of a cluster whose state is lost."""
    # Without the identity, which the record does not hold yet.
    api = HostApi.connect(replace(access, cluster_id=""))
    api.patch(resources.CONFIG_MAPS, body["metadata"]["name"], {"data": body["data"]}, namespace=api.namespace)
