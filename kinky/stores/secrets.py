"""Values in Secrets of one namespace, each with a right of its own: what a store on the host and one inside share."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from kinky import names
from kinky.keys.certificates import format_time, parse_time
from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.objects import ObjectApi, build_secret, decode_secret
from kinky.kube.ownership import check_own
from kinky.manifests.store_reader import build_value_rights
from kinky.stores.store import PROGRAM, Store, StoredValue

CHANGED_ANNOTATION = "kinky.dev/changed-at"


class NamespaceStore(Store):
    """A store whose values are Secrets; the subclass knows with what they are read."""

    def __init__(self, cluster: str, *, connect: Callable[[], ObjectApi], namespace: str) -> None:
        """Use this namespace of the API that `connect` opens."""
        self.cluster = cluster
        self._connect = connect
        self.namespace = namespace

    def describe(self, name: str) -> str:
        """Return the Secret."""
        return f"Secret {self.namespace}/{names.store_secret(self.cluster, name)}"

    def fetch(self, name: str) -> StoredValue | None:
        """Fetch what may be told of one Secret."""
        body = self._fetch_own(name)
        return None if body is None else self._parse(body)

    def fetch_all(self) -> list[StoredValue]:
        """Fetch what may be told of all Secrets of the store."""
        prefix = names.store_secret(self.cluster, "")
        bodies = self._connect().fetch_all(
            resources.SECRETS, namespace=self.namespace, selector=names.cluster_selector(self.cluster)
        )
        # A pool that is called store has Secrets of this prefix too, with its nodes' labels.
        own = [
            body
            for body in bodies
            if body["metadata"]["name"].startswith(prefix) and names.LABEL_NODE not in body["metadata"]["labels"]
        ]
        return sorted((self._parse(body) for body in own), key=lambda value: value.name)

    def read(self, name: str) -> Mapping[str, bytes] | None:
        """Read one Secret."""
        body = self._fetch_own(name)
        return None if body is None else decode_secret(body)

    def create(self, name: str, data: Mapping[str, bytes]) -> bool:
        """Create a Secret."""
        return self._connect().create(resources.SECRETS, self._build(name, data), namespace=self.namespace)

    def write(self, name: str, data: Mapping[str, bytes]) -> None:
        """Create or replace a Secret."""
        self._connect().put(resources.SECRETS, self._build(name, data), namespace=self.namespace)

    def put(self, name: str, key: str, value: bytes) -> None:
        """Create a Secret, or change one key of it; then make the right to read it, if that is not there."""
        api, secret = self._connect(), names.store_secret(self.cluster, name)
        changed = {CHANGED_ANNOTATION: format_time(datetime.now(UTC))}
        labels = names.cluster_labels(self.cluster) | {names.LABEL_MADE_BY: names.ADMIN}
        body = build_secret(secret, {key: value}, labels=labels, annotations=changed)
        if not api.create(resources.SECRETS, body, namespace=self.namespace):
            patch = {"metadata": {"annotations": changed}, "data": {key: base64.b64encode(value).decode()}}
            api.patch(resources.SECRETS, secret, patch, namespace=self.namespace)
        role, binding = build_value_rights(self.cluster, name, self.namespace)
        api.create(resources.ROLES, role, namespace=self.namespace)
        api.create(resources.ROLE_BINDINGS, binding, namespace=self.namespace)

    def delete(self, name: str) -> None:
        """Delete the right to read a Secret, then the Secret."""
        api, reader = self._connect(), names.store_value_reader(self.cluster, name)
        api.delete(resources.ROLE_BINDINGS, reader, namespace=self.namespace)
        api.delete(resources.ROLES, reader, namespace=self.namespace)
        # Last, so that a removal that was cut off can be repeated.
        api.delete(resources.SECRETS, names.store_secret(self.cluster, name), namespace=self.namespace)

    def write_decoy(self, data: Mapping[str, bytes]) -> None:
        """Write a Secret of the same namespace that no right names."""
        body = build_secret(names.store_decoy(self.cluster), data, labels=names.cluster_labels(self.cluster))
        self._connect().put(resources.SECRETS, body, namespace=self.namespace)

    def delete_decoy(self) -> None:
        """Delete that Secret."""
        self._connect().delete(resources.SECRETS, names.store_decoy(self.cluster), namespace=self.namespace)

    def _fetch_own(self, name: str) -> JsonObject | None:
        """Fetch one Secret; raises ForeignObjectError when it belongs to another cluster, or KinKy did not make it."""
        secret = names.store_secret(self.cluster, name)
        body = self._connect().fetch(resources.SECRETS, secret, namespace=self.namespace)
        if body is not None:
            check_own(resources.SECRETS, body, self.cluster)
        return body

    def _build(self, name: str, data: Mapping[str, bytes]) -> JsonObject:
        return build_secret(names.store_secret(self.cluster, name), data, labels=names.cluster_labels(self.cluster))

    def _parse(self, body: JsonObject) -> StoredValue:
        """Keep of a Secret what may be told."""
        metadata = body["metadata"]
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        data: Mapping[str, str] = body.get("data") or {}
        name = str(metadata["name"]).removeprefix(names.store_secret(self.cluster, ""))
        return StoredValue(
            name=name,
            place=self.describe(name),
            made_by=str(labels.get(names.LABEL_MADE_BY, PROGRAM)),
            changed_at=parse_time(str(annotations.get(CHANGED_ANNOTATION) or metadata["creationTimestamp"])),
            fingerprints={key: names.short_fingerprint(base64.b64decode(text)) for key, text in sorted(data.items())},
        )
