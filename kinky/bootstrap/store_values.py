"""The operator's values in the secrets store: host Secrets beside the program's, each with a right of its own.

Pulumi knows nothing of them: they are written and removed by `kinky secrets`, never by `up`, so none of them is in its
state and no preview sees them. `destroy` removes them with everything else that has the cluster's labels.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from kinky import names
from kinky.bootstrap.certificates import format_time, parse_time
from kinky.bootstrap.owner import fetch_owner
from kinky.config.model import KinkyConfig
from kinky.errors import HostError, KinkyError
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import JsonObject
from kinky.kube.host import HostApi
from kinky.kube.objects import build_secret
from kinky.manifests.host_rbac import build_value_rights
from kinky.manifests.secrets_store import PROGRAM_VALUES

PROGRAM = "program"
CHANGED_ANNOTATION = "kinky.dev/changed-at"
VALUE_LIMIT_BYTES = 1_000_000
"""Kubernetes keeps at most 1 MiB in one Secret, names of keys and metadata included."""
KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


@dataclass(frozen=True, kw_only=True)
class StoredValue:
    """One name of the store: what is told about it, which is never the value."""

    name: str
    secret_name: str
    made_by: str
    """`program` or `operator`."""
    changed_at: datetime
    fingerprints: Mapping[str, str]
    """Key to the first digits of the value's SHA-256."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a write did to one key."""

    secret_name: str
    before: str | None
    """Fingerprint of the value that was there; None when the key is new."""
    after: str


def check_value_name(cluster: str, name: str) -> None:
    """Refuse a name that cannot be a value's, or that the program uses; raises KinkyError."""
    if not names.is_dns_label(name):
        # Somebody may have written name=value: what is no name is not repeated.
        raise KinkyError(
            f"secrets store of {cluster}: this cannot be the name of a value",
            details=["a name has lower-case letters, digits and hyphens, starts with a letter, and is at most 63 long"],
            hint="such as db-password; the value itself comes from standard input or --file",
        )
    if name in PROGRAM_VALUES:
        raise _program_error(cluster, name)


def check_key(key: str) -> None:
    """Refuse what Kubernetes does not take as a key of a Secret; raises KinkyError."""
    if not KEY.fullmatch(key):
        raise KinkyError(
            "this cannot be a key of a Secret",
            details=["a key has letters, digits, '-', '_' and '.', and is at most 253 long"],
            hint="leave --key out for the key: value",
        )


def put_value(access: HostAccess, cfg: KinkyConfig, name: str, *, key: str, value: bytes) -> Change:
    """Write one key of an operator's value, over what was there, and let the inner cluster's store read it.

    Raises:
        KinkyError: the name is not the operator's to use, or the host refused; nothing was changed then.
    """
    cluster = cfg.cluster.name
    check_value_name(cluster, name)
    check_key(key)
    api = _open(access, cluster)
    secret_name = names.store_secret(cluster, name)
    changed = {CHANGED_ANNOTATION: format_time(datetime.now(UTC))}
    labels = names.cluster_labels(cluster) | {names.LABEL_MADE_BY: names.OPERATOR}
    body = build_secret(secret_name, {key: value}, labels=labels, annotations=changed)
    before = None
    if not api.create(resources.SECRETS, body, namespace=api.namespace):
        before = _read_own(api, cluster, name).fingerprints.get(key)
        patch = {"metadata": {"annotations": changed}, "data": {key: base64.b64encode(value).decode()}}
        api.patch(resources.SECRETS, secret_name, patch, namespace=api.namespace)
    role, binding = build_value_rights(cfg, name)
    api.create(resources.ROLES, role, namespace=api.namespace)
    api.create(resources.ROLE_BINDINGS, binding, namespace=api.namespace)
    return Change(secret_name=secret_name, before=before, after=names.short_fingerprint(value))


def fetch_values(access: HostAccess, cluster: str) -> list[StoredValue]:
    """List what the store holds, by name: the program's values and the operator's."""
    api = _open(access, cluster)
    prefix = names.store_secret(cluster, "")
    bodies = api.fetch_all_here(resources.SECRETS, selector=names.cluster_selector(cluster))
    # A pool that is called store has Secrets of this prefix too, with its nodes' labels.
    own = [
        body
        for body in bodies
        if body["metadata"]["name"].startswith(prefix) and names.LABEL_NODE not in body["metadata"]["labels"]
    ]
    return sorted((_parse(cluster, body) for body in own), key=lambda value: value.name)


def delete_value(access: HostAccess, cfg: KinkyConfig, name: str) -> StoredValue:
    """Remove an operator's value, its right to be read first, and return what it was.

    Raises:
        KinkyError: there is no such value, or the program made it.
    """
    cluster = cfg.cluster.name
    check_value_name(cluster, name)
    api = _open(access, cluster)
    value = _read_own(api, cluster, name)
    reader = names.store_value_reader(cluster, name)
    api.delete(resources.ROLE_BINDINGS, reader, namespace=api.namespace)
    api.delete(resources.ROLES, reader, namespace=api.namespace)
    # Last, so that a removal that was cut off can be repeated.
    api.delete(resources.SECRETS, value.secret_name, namespace=api.namespace)
    return value


def _open(access: HostAccess, cluster: str) -> HostApi:
    """Open the host, and make sure that the cluster is there: a value without one would never be cleaned up."""
    api = HostApi.connect(access)
    if fetch_owner(api, cluster) is None:
        raise HostError(
            f"secrets store of {cluster}: namespace {api.namespace} of the host holds no cluster {cluster}",
            hint="kinky up makes it; check host.context and host.namespace if it was made",
        )
    return api


def _read_own(api: HostApi, cluster: str, name: str) -> StoredValue:
    """Read a value that the operator may change; raises KinkyError for any other."""
    body = api.fetch_here(resources.SECRETS, names.store_secret(cluster, name))
    if body is None:
        raise KinkyError(
            f'secrets store of {cluster}: there is no value "{name}"', hint="kinky secrets list shows what there is"
        )
    value = _parse(cluster, body)
    if value.made_by != names.OPERATOR:
        raise _program_error(cluster, name)
    return value


def _parse(cluster: str, body: JsonObject) -> StoredValue:
    """Keep of a Secret what may be told."""
    metadata = body["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    data: Mapping[str, str] = body.get("data") or {}
    return StoredValue(
        name=str(metadata["name"]).removeprefix(names.store_secret(cluster, "")),
        secret_name=str(metadata["name"]),
        made_by=str(labels.get(names.LABEL_MADE_BY, PROGRAM)),
        changed_at=parse_time(str(annotations.get(CHANGED_ANNOTATION) or metadata["creationTimestamp"])),
        fingerprints={key: names.short_fingerprint(base64.b64decode(text)) for key, text in sorted(data.items())},
    )


def _program_error(cluster: str, name: str) -> KinkyError:
    return KinkyError(
        f'secrets store of {cluster}: the value "{name}" is the program\'s own',
        details=["pulumi up makes it and pulumi destroy removes it; no other command changes it"],
        hint="choose another name",
    )
