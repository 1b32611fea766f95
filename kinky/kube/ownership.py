"""Changes reach only the cluster's own objects, on the host where the cluster was made.

Names are not enough for that: a kubeconfig may lead to another host today, and two clusters can use one name.
So the host, the cluster's record and the object's label are compared before anything is written or deleted.

If the cluster has a lease, the record and every object that is created here name it as their owner. When the lease
ends, the host's garbage collector removes them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kinky import names
from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import Connection, JsonObject, if_allowed
from kinky.kube.objects import ObjectApi
from kinky.kube.resources import Resource

CLUSTER_ID_KEY = "clusterId"
"""Key of the record that holds the identity of the inner cluster."""
ROOT_CA = "kube-root-ca.crt"
"""ConfigMap that the host keeps in each namespace as long as that namespace exists."""
BY_NAMESPACE = "namespace:"
"""Prefix of a host's identity from the namespace, for an account that can read nothing else."""
FORGET_HINT = "choose the right host with host.kubeconfig and host.context; if the host was rebuilt: kinky forget"


class ForeignObjectError(HostError):
    """An object of that name exists, but does not belong to the cluster."""


class OwnedObjects(ObjectApi):
    """Objects on the host; only the cluster's own objects can be changed or deleted."""

    def __init__(self, connection: Connection, access: HostAccess) -> None:
        """Act for the cluster that the access names."""
        super().__init__(connection)
        self.namespace = access.namespace
        self.access = access
        self._is_proved = False
        self._is_recorded = False
        self._owners: Sequence[JsonObject] = ()

    def fetch_host_uid(self) -> str:
        """Fetch the host's identity: the UID of kube-system, or one from the namespace if only that can be read."""
        return self._fetch_system_uid() or self._fetch_namespace_uid()

    def require_host(self, *, is_recorded: bool = True) -> None:
        """Make sure that this is the host of the cluster, by its identity and by the cluster's record.

        Args:
            is_recorded: Whether the cluster's record was written already.

        Raises:
            HostError: It is another host, or the record names another cluster.
        """
        if self._is_proved:
            return
        known = self._compare_host()
        if not is_recorded:
            return
        record = self.fetch(resources.CONFIG_MAPS, self._record, namespace=self.namespace)
        if record is not None:
            self._compare_record(record, is_host_known=known)
            self._is_recorded = True
            self._owners = record["metadata"].get("ownerReferences") or ()
        elif self.access.cluster_id and not known:
            raise HostError(
                f"{self.target} ({self.server}): namespace {self.namespace} holds no record of inner cluster"
                f" {self.access.cluster}; nothing was touched",
                details=["your account is not allowed to read the host's identity, so the record must identify it"],
                hint=FORGET_HINT,
            )
        self._is_proved = True

    def create(self, resource: Resource, body: JsonObject, *, namespace: str | None = None) -> bool:
        """Create one object of the cluster; False when the cluster has one of that name."""
        is_record = body["metadata"]["name"] == self._record
        is_first = is_record or resource in (resources.NAMESPACES, resources.JOBS)
        if not is_first:
            self._require_record()
        if super().create(resource, body if is_first else self._owned(body), namespace=namespace):
            # A record that was just made names the owner of all that follows.
            self._is_proved = self._is_proved and not is_record
            return True
        if resource != resources.NAMESPACES:
            self._fetch_own(resource, str(body["metadata"]["name"]), namespace)
        return False

    def put(self, resource: Resource, body: JsonObject, *, namespace: str | None = None) -> None:
        """Create one object of the cluster, or replace the cluster's one of that name."""
        self._require_record()
        super().put(resource, self._owned(body), namespace=namespace)

    def replace(self, resource: Resource, body: JsonObject, *, namespace: str | None = None) -> bool:
        """Replace one object of the cluster that was fetched; False if it has been changed or removed since."""
        self._fetch_own(resource, str(body["metadata"]["name"]), namespace)
        return super().replace(resource, body, namespace=namespace)

    def patch(self, resource: Resource, name: str, body: JsonObject, *, namespace: str | None = None) -> JsonObject:
        """Merge fields into one object of the cluster and return the result."""
        self._fetch_own(resource, name, namespace)
        return super().patch(resource, name, body, namespace=namespace)

    def apply(self, resource: Resource, body: JsonObject, *, namespace: str | None = None) -> None:
        """Set these fields of one object of the cluster; create it if it does not exist."""
        self._fetch_own(resource, str(body["metadata"]["name"]), namespace)
        super().apply(resource, self._owned(body), namespace=namespace)

    def delete(self, resource: Resource, name: str, *, namespace: str | None = None, uid: str = "") -> bool:
        """Ask for the deletion of one object of the cluster; False when it is gone already."""
        present = self._fetch_own(resource, name, namespace)
        if present is None:
            return False
        return super().delete(resource, name, namespace=namespace, uid=uid or str(present["metadata"].get("uid", "")))

    @property
    def _record(self) -> str:
        return names.cluster_record(self.access.cluster)

    def _require_record(self) -> None:
        """Make sure that a new object gets its owner: after the end of a lease it would stay for ever."""
        self.require_host()
        if self.access.cluster_id and not self._is_recorded:
            raise HostError(
                f"{self.target}: namespace {self.namespace} holds no record of inner cluster {self.access.cluster};"
                " nothing was written",
                hint="its lease has ended, or somebody removed the record: kinky up makes it again",
            )

    def _owned(self, body: JsonObject) -> JsonObject:
        """Return the body with the owners of the cluster's record."""
        if not self._owners:
            return body
        return {**body, "metadata": {**body["metadata"], "ownerReferences": list(self._owners)}}

    def _fetch_own(self, resource: Resource, name: str, namespace: str | None) -> JsonObject | None:
        """Fetch an object that may be changed; raises ForeignObjectError for any other."""
        self.require_host()
        present = self.fetch(resource, name, namespace=namespace)
        if present is not None:
            check_own(resource, present, self.access.cluster)
        return present

    def _compare_host(self) -> bool:
        """Compare the host's identity; False when it is not known, or cannot be read."""
        wanted = self.access.host_uid
        if not wanted:
            return False
        seen = self._fetch_namespace_uid() if wanted.startswith(BY_NAMESPACE) else self._fetch_system_uid()
        if seen and seen != wanted:
            raise HostError(
                f"{self.target} ({self.server}) is not the host of inner cluster {self.access.cluster};"
                " nothing was touched",
                details=[f"identity of the cluster's host: {wanted}", f"identity of this host: {seen}"],
                hint=FORGET_HINT,
            )
        return bool(seen)

    def _compare_record(self, record: JsonObject, *, is_host_known: bool) -> None:
        """Compare the identity that the record on the host holds.

        A damaged record may have lost it. On the cluster's own host that must not keep anybody from a destroy.
        """
        wanted, data = self.access.cluster_id, record.get("data") or {}
        seen = data.get(CLUSTER_ID_KEY)
        if wanted and seen != wanted and (seen or not is_host_known):
            raise HostError(
                f"{self.target}: namespace {self.namespace} holds another inner cluster {self.access.cluster};"
                " nothing was touched",
                details=[f"its record says that {describe_maker(data)}"],
                hint="choose the right host or namespace; docs/troubleshooting.md describes how to take a cluster over",
            )

    def _fetch_system_uid(self) -> str:
        body = if_allowed(lambda: self.fetch(resources.NAMESPACES, names.NAMESPACE_SYSTEM)) or {}
        return str((body.get("metadata") or {}).get("uid", ""))

    def _fetch_namespace_uid(self) -> str:
        body = self.fetch(resources.CONFIG_MAPS, ROOT_CA, namespace=self.namespace) or {}
        uid = str((body.get("metadata") or {}).get("uid", ""))
        return BY_NAMESPACE + uid if uid else ""


def check_own(resource: Resource, body: JsonObject, cluster: str) -> None:
    """Make sure that an object belongs to the cluster; raises ForeignObjectError."""
    metadata = body["metadata"]
    label = (metadata.get("labels") or {}).get(names.LABEL_CLUSTER)
    if label == cluster:
        return
    place = "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
    raise ForeignObjectError(
        f"{resource.kind} {place} does not belong to inner cluster {cluster}; it was left as it is",
        details=[f"its label {names.LABEL_CLUSTER} is {label}" if label else f"it has no label {names.LABEL_CLUSTER}"],
        hint="choose another name, cluster.name or host.namespace",
    )


def describe_maker(data: Mapping[str, str]) -> str:
    """Describe from a record's data which stack made the cluster, and when."""
    return f"stack {data.get('stack') or 'unknown'} made it at {data.get('madeAt') or 'an unknown time'}"
