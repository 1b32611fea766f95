"""The record of a cluster on its host: its stack, its identity, and the configuration that was applied."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kinky import names, paths
from kinky.errors import HostError
from kinky.keys.certificates import format_time
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import JsonObject
from kinky.kube.host import HostApi
from kinky.kube.kubeconfig import write_private
from kinky.kube.ownership import FORGET_HINT, describe_maker
from kinky.ownership.record_format import ClusterRecord
from kinky.reach.reach import Reach

TAKE_OVER = "KINKY_TAKE_OVER"
"""Variable with the name of the cluster that the next `up` takes over; `kinky up --take-over` sets it."""
TAKE_OVER_HINT = (
    "choose another cluster.name or host.namespace; if that stack's state is lost: kinky up --take-over "
    "(docs/troubleshooting.md)"
)
RIVALS_HINT = "choose another host.namespace, or a cluster.name without the other name and a hyphen at its start"
KEPT_FILE = "identity.json"


def fetch_record(api: HostApi, cluster: str) -> ClusterRecord | None:
    """Read the record of a cluster; None when the namespace holds no such cluster.

    Raises:
        RecordError: The record is damaged, or of another version.
    """
    body = api.fetch_here(resources.CONFIG_MAPS, names.cluster_record(cluster))
    return None if body is None else ClusterRecord.parse(body)


def ensure_record(
    api: HostApi,
    stack: str,
    settings: Mapping[str, Any],
    *,
    owners: Sequence[JsonObject] = (),
    take_over: bool = False,
) -> None:
    """Write the cluster's record with the identity of the access.

    Args:
        settings: The settings that the cluster is made with; of an existing one, only those of new pools are added.
        owners: The cluster's lease, as `ensure_lease` returns it.
        take_over: Whether to take the cluster from another state, which then cannot change it any more.

    Raises:
        HostError: The cluster belongs to another stack, or another cluster here could have the same names.
    """
    access = api.access
    present = fetch_record(api, access.cluster)
    if present is not None and present.cluster_id != access.cluster_id and not take_over:
        raise describe_conflict(api, access.cluster, present)
    if rivals := find_rivals(api, access.cluster):
        raise _rivals_error(api, access.cluster, rivals)
    wanted = ClusterRecord(
        stack=stack,
        cluster_id=access.cluster_id,
        host_uid=access.host_uid,
        made_at=format_time(datetime.now(UTC)),
        settings=settings,
        owners=tuple(owners),
    )
    if present is None:
        api.create(resources.CONFIG_MAPS, wanted.build(access.cluster), namespace=api.namespace)
        # Two clusters that start at the same time may both get here: now each sees the other's record.
        if rivals := find_rivals(api, access.cluster):
            delete_record(api)
            raise _rivals_error(api, access.cluster, rivals)
        return
    wanted = replace(
        present,
        stack=stack,
        cluster_id=access.cluster_id,
        host_uid=access.host_uid,
        settings={**settings, **present.settings},
    )
    if wanted == present:
        return
    # A cluster that is taken over has another identity still, so it cannot be required.
    _patch(api if present.cluster_id == access.cluster_id else api.without_identity(), wanted.build_data())


def note_applied(api: HostApi, settings: Mapping[str, Any], *, release: str, cluster_uid: str, bundle: bytes) -> str:
    """Write into the record the configuration, the release, the UID and the CA bundle, and return the time."""
    present = fetch_record(api, api.access.cluster)
    if present is None:
        raise HostError(
            f"namespace {api.namespace} holds no record of inner cluster {api.access.cluster}",
            hint="run up again: it writes a new record",
        )
    now = format_time(datetime.now(UTC))
    wanted = replace(
        present,
        settings=settings,
        release=release,
        cluster_uid=cluster_uid,
        ca_certificates=bundle.decode(),
        applied_at=now,
    )
    _patch(api, wanted.build_data())
    return now


def note_ca_bundle(api: HostApi, bundle: bytes) -> None:
    """Write the CA bundle of the inner cluster into the record: certificates, which are public."""
    _patch(api, {"caCertificates": bundle.decode()})


def is_taken_over(cluster: str) -> bool:
    """Tell whether the admin wants to take the cluster over."""
    return os.environ.get(TAKE_OVER) == cluster


def delete_record(api: HostApi) -> None:
    """Remove the record of the cluster, if it still exists."""
    api.delete(resources.CONFIG_MAPS, names.cluster_record(api.access.cluster), namespace=api.namespace)


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


def is_there(api: HostApi) -> bool:
    """Tell whether the cluster of this identity is on the host; raises KinkyError when the host does not answer."""
    found = fetch_record(api, api.access.cluster)
    return found is not None and found.cluster_id == api.access.cluster_id


def recognise(access: HostAccess, stack: str) -> Reach:
    """Return the way to the stack's cluster, after comparing its identity with the host's.

    Args:
        stack: Name of the stack, without organization and project.

    Raises:
        HostError: It is another host, or the host holds no such cluster of this stack.
    """
    kept = read_kept(access.cluster)
    if kept and kept["stack"].rpartition("/")[2] == stack:
        known = Reach(with_kept(access))
        known.host().require_host()
        return known
    api = Reach(access).host()
    found = fetch_record(api, access.cluster)
    if found is None:
        raise HostError(
            f"{api.target} ({api.server}): namespace {access.namespace} holds no inner cluster {access.cluster}",
            hint=f"kinky up --stack {stack} makes it; if it was made on another host: {FORGET_HINT}",
        )
    if found.stack.rpartition("/")[2] != stack:
        raise describe_conflict(api, access.cluster, found)
    return Reach(replace(access, host_uid=found.host_uid, cluster_id=found.cluster_id))


def _rivals_error(api: HostApi, cluster: str, rivals: list[str]) -> HostError:
    return HostError(describe_rivals(api.namespace, cluster, rivals), hint=RIVALS_HINT)


def _patch(api: HostApi, data: Mapping[str, str]) -> None:
    """Write these keys of the record; the others stay."""
    api.patch(resources.CONFIG_MAPS, names.cluster_record(api.access.cluster), {"data": data}, namespace=api.namespace)
