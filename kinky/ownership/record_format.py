"""The content of the record of a cluster, as a ConfigMap on its host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kinky import names
from kinky.errors import HostError
from kinky.kube.connection import JsonObject
from kinky.kube.ownership import CLUSTER_ID_KEY

VERSION: Final = "1"
"""Format of the record; another one is refused, because its settings could have another meaning."""
RECORD_HINT: Final = (
    "restore the ConfigMap, or use the kinky that made it; kinky destroy still removes the cluster"
    " (docs/troubleshooting.md)"
)


class RecordError(HostError):
    """The record of a cluster cannot be read."""


@dataclass(frozen=True, kw_only=True)
class ClusterRecord:
    """The data about a cluster on the host; nothing of it is secret."""

    stack: str
    """Organization, project and stack, as Pulumi names them."""
    cluster_id: str
    host_uid: str
    made_at: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The applied configuration, by key; until the first `up` has proved the cluster, only what cannot change."""
    ca_certificates: str = ""
    """CA bundle of the inner cluster (PEM): public, so that a look needs no key. Empty before the keys exist."""
    cluster_uid: str = ""
    """UID of the inner `kube-system`; empty before the first proof from outside."""
    release: str = ""
    """Name of the applied release; empty before the first proof from outside."""
    applied_at: str = ""
    """Time of the last `up` that applied another configuration; empty before the first proof from outside."""
    owners: tuple[JsonObject, ...] = ()
    """The cluster's lease as an owner reference; empty for a cluster without a lease."""

    @property
    def image(self) -> str:
        """Return the reference of the applied node image."""
        return str(self.settings.get("image.reference") or "")

    @classmethod
    def parse(cls, body: JsonObject) -> ClusterRecord:
        """Parse the record as the API returned it.

        Raises:
            RecordError: It is damaged, or of another version.
        """
        data: Mapping[str, str] = body.get("data") or {}
        if faults := list(_find_faults(data)):
            place = "/".join(filter(None, (body["metadata"].get("namespace"), body["metadata"]["name"])))
            raise RecordError(
                f"host cluster: the record of the inner cluster, ConfigMap {place}, cannot be read",
                details=faults,
                hint=RECORD_HINT,
            )
        return cls(
            stack=data["stack"],
            cluster_id=data[CLUSTER_ID_KEY],
            host_uid=data["hostUid"],
            made_at=data["madeAt"],
            settings=json.loads(data["settings"]),
            ca_certificates=data.get("caCertificates", ""),
            cluster_uid=data.get("clusterUid", ""),
            release=data.get("release", ""),
            applied_at=data.get("appliedAt", ""),
            owners=tuple(body["metadata"].get("ownerReferences") or ()),
        )

    def build(self, cluster: str) -> JsonObject:
        """Build the ConfigMap."""
        metadata: JsonObject = {"name": names.cluster_record(cluster), "labels": names.cluster_labels(cluster)}
        metadata |= {"ownerReferences": list(self.owners)} if self.owners else {}
        return {"metadata": metadata, "data": self.build_data()}

    def build_data(self) -> dict[str, str]:
        """Build the ConfigMap's data."""
        return {
            "version": VERSION,
            "stack": self.stack,
            CLUSTER_ID_KEY: self.cluster_id,
            "hostUid": self.host_uid,
            "madeAt": self.made_at,
            "settings": json.dumps(dict(self.settings), sort_keys=True, indent=1),
            "image": self.image,
            "release": self.release,
            "caCertificates": self.ca_certificates,
            "clusterUid": self.cluster_uid,
            "appliedAt": self.applied_at,
        }


def _find_faults(data: Mapping[str, str]) -> list[str]:
    """Find why the data are no record: first its version, because the rest depends on it."""
    version = data.get("version")
    if version is not None and version != VERSION:
        return [f"its version is {version}; this kinky reads version {VERSION}"]
    needed = ("version", "stack", CLUSTER_ID_KEY, "hostUid", "madeAt", "settings")
    faults = [f"key {key} is missing" for key in needed if key not in data]
    try:
        settings = json.loads(data.get("settings", "{}"))
    except ValueError:
        return [*faults, f"key settings is not JSON: {data['settings'][:40]!r}"]
    return faults if isinstance(settings, dict) else [*faults, f"key settings is a {type(settings).__name__}"]
