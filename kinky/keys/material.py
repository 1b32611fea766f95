"""The key material of a cluster: made once, in memory, and written straight into one host Secret.

`up` creates only: a Secret that exists is read, never written, because losing it means a new cluster.
Only a rotation changes it, all at once and only if nobody has changed it meanwhile. Its name stays, since the VMs
refer to it: a control plane reads it at each boot (docs/decisions/0011).
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kinky import names
from kinky.errors import HostError
from kinky.keys.certificates import (
    Pair,
    build_fingerprint,
    derive_public_key,
    format_time,
    make_ca,
    make_key,
    split_public_keys,
)
from kinky.keys.clock import check_clock
from kinky.keys.encryption_config import make_encryption_key, parse_provider, render_encryption_config
from kinky.kube import resources
from kinky.kube.host import HostApi
from kinky.kube.objects import build_secret

CAS = ("ca", "front-proxy-ca", "etcd-ca")
ENCRYPTION_FILE = "encryption-config.yaml"
SIGNING_KEY_FILE = "sa.key"
PUBLIC_KEY_FILE = "sa.pub"
"""One or more public keys, that of the signing key first: an API server accepts the tokens of each."""
PUBLIC_FILES = (*(f"{name}.crt" for name in CAS), "sa.pub", ENCRYPTION_FILE)
"""Files that have a fingerprint. The encryption file's holds 32 random bytes, so its hash tells nothing of them."""
MADE_ANNOTATION = "kinky.dev/{item}-made-at"
FILES = (*(f"{name}.{end}" for name in CAS for end in ("crt", "key")), "sa.pub", "sa.key", ENCRYPTION_FILE)


@dataclass(frozen=True)
class KeyRecord:
    """Where the key material is, and what it is: names and SHA-256 fingerprints only."""

    secret_name: str
    fingerprints: dict[str, str] = field(default_factory=dict)


def ensure_cluster_keys(api: HostApi, cluster: str, *, kms_config: str = "") -> KeyRecord:
    """Make the cluster's CAs and keys, unless the host holds them already.

    Args:
        kms_config: The API server's encryption configuration if a KMS encrypts; without a key, so it is kept as asked.

    Raises:
        HostError: the host refused, or a Secret of that name is not usable as this cluster's keys.
    """
    name = names.pki_secret(cluster)
    if api.fetch_here(resources.SECRETS, name) is None:
        files = make_cluster_files(cluster) | ({ENCRYPTION_FILE: kms_config.encode()} if kms_config else {})
        body = build_secret(name, files, labels=names.cluster_labels(cluster))
        # Of two that start at once one creates, and both read what was created.
        api.create(resources.SECRETS, body, namespace=api.namespace)
    record = fetch_cluster_keys(api, cluster)
    if record is None:
        raise HostError(f"host cluster: Secret {name} was created and is gone again", hint="run pulumi up again")
    _keep_kms_config(api, cluster, kms_config)
    return record


def fetch_cluster_keys(api: HostApi, cluster: str) -> KeyRecord | None:
    """Read which key material the host holds for the cluster; None without key material."""
    files = _fetch_files(api, cluster)
    if files is None:
        return None
    prints = {name: build_fingerprint(files[name]) for name in PUBLIC_FILES}
    return KeyRecord(secret_name=names.pki_secret(cluster), fingerprints=prints)


def fetch_ca(api: HostApi, cluster: str) -> Pair:
    """Read the cluster CA with its key, to sign with.

    Raises:
        HostError: It is not there, the host is another one, or our clock is wrong.
    """
    api.require_host()
    files = _fetch_files(api, cluster)
    if files is None:
        raise _absent(api, cluster, "sign a certificate")
    check_clock(api)
    return Pair(files["ca.crt"], files["ca.key"])


def fetch_ca_bundle(api: HostApi, cluster: str) -> bytes:
    """Read the certificates (PEM) that clients of the inner API trust: several while the CA is rotated."""
    return fetch_key_files(api, cluster)["ca.crt"]


def fetch_key_files(api: HostApi, cluster: str) -> Mapping[str, bytes]:
    """Read all files of the key Secret (secret); raises HostError when it is not there."""
    files = _fetch_files(api, cluster)
    if files is None:
        raise _absent(api, cluster, "read the keys")
    return files


def fetch_public_keys(api: HostApi, cluster: str) -> list[bytes]:
    """Read the public keys (PEM) whose tokens the API servers accept, that of the signing key first."""
    return split_public_keys(fetch_key_files(api, cluster)[PUBLIC_KEY_FILE])


def fetch_encryption_provider(api: HostApi, cluster: str) -> str:
    """Read which provider encrypts Secrets in the inner etcd; empty when the cluster has no keys yet."""
    content = (api.fetch_secret_here(names.pki_secret(cluster)) or {}).get(ENCRYPTION_FILE)
    return parse_provider(content) if content else ""


def fetch_made_at(api: HostApi, cluster: str, item: str) -> str:
    """Read when a key was made that a rotation calls by this name (RFC 3339); empty when nothing tells."""
    metadata = (api.fetch_here(resources.SECRETS, names.pki_secret(cluster)) or {}).get("metadata") or {}
    annotated = (metadata.get("annotations") or {}).get(MADE_ANNOTATION.format(item=item))
    return str(annotated or metadata.get("creationTimestamp") or "")


def replace_key_files(
    api: HostApi,
    cluster: str,
    change: Callable[[Mapping[str, bytes]], Mapping[str, bytes]],
    *,
    new_key_of: str = "",
) -> None:
    """Change the files of the key Secret, all of them at once.

    Args:
        change: Takes the files that are there and returns those that shall be; the same ones are not written.
        new_key_of: The item of which a key is new now, whose age is counted from here.
    """
    files = fetch_key_files(api, cluster)
    wanted = dict(change(files))
    if wanted == files:
        return
    name = names.pki_secret(cluster)
    present = api.fetch_here(resources.SECRETS, name) or {}
    metadata = dict(present.get("metadata") or {})
    notes = dict(metadata.get("annotations") or {})
    notes |= {MADE_ANNOTATION.format(item=new_key_of): format_time(datetime.now(UTC))} if new_key_of else {}
    body = build_secret(name, wanted, labels=metadata.get("labels") or {}, annotations=notes)
    # With the version that was read: two changes at once would lose a key.
    body["metadata"] = {**metadata, "annotations": notes}
    if not api.replace(resources.SECRETS, body, namespace=api.namespace):
        raise HostError(f"host cluster: Secret {name} was changed by somebody else", hint="run the same command again")


def delete_key_secret(api: HostApi, secret_name: str) -> None:
    """Delete one Secret with key material; it may be gone already."""
    api.delete(resources.SECRETS, secret_name, namespace=api.namespace)


def make_cluster_files(cluster: str) -> dict[str, bytes]:
    """Make all files of the key Secret, new ones (secret)."""
    files: dict[str, bytes] = {}
    for name in CAS:
        pair = make_ca(f"{cluster} {name}")
        files |= {f"{name}.crt": pair.certificate, f"{name}.key": pair.key}
    service_account_key = make_key()
    files |= {"sa.key": service_account_key, "sa.pub": derive_public_key(service_account_key)}
    return files | {ENCRYPTION_FILE: render_encryption_config([make_encryption_key(1)])}


def _keep_kms_config(api: HostApi, cluster: str, wanted: str) -> None:
    """Write another socket or timeout of the same KMS; never one provider's settings over another's key."""
    present = parse_provider(fetch_key_files(api, cluster)[ENCRYPTION_FILE])
    if present != (names.KMS if wanted else names.SECRETBOX):
        raise HostError(f"inner cluster {cluster} was made with encryption.provider {present}", hint="set it back")
    if wanted:
        replace_key_files(api, cluster, lambda files: {**files, ENCRYPTION_FILE: wanted.encode()})


def _fetch_files(api: HostApi, cluster: str) -> Mapping[str, bytes] | None:
    """Read the key files; refuse a Secret that is incomplete or another's, rather than use half of it."""
    name = names.pki_secret(cluster)
    secret = api.fetch_here(resources.SECRETS, name)
    if secret is None:
        return None
    labels = secret["metadata"].get("labels") or {}
    data = secret.get("data") or {}
    missing = [file for file in FILES if not data.get(file)]
    foreign = labels.get(names.LABEL_CLUSTER) != cluster
    if missing or foreign:
        why = [f"missing keys: {', '.join(missing)}"] if missing else []
        why += [f"its label {names.LABEL_CLUSTER} is not {cluster}"] if foreign else []
        raise HostError(
            f"host cluster: Secret {api.namespace}/{name} cannot be the keys of inner cluster {cluster}",
            details=why,
            hint="it was not made by kinky, or was edited: choose another cluster.name or host.namespace, or remove it",
        )
    return {file: base64.b64decode(text) for file, text in data.items()}


def _absent(api: HostApi, cluster: str, purpose: str) -> HostError:
    return HostError(
        f"host cluster: Secret {names.pki_secret(cluster)} is not there in namespace {api.namespace}",
        details=[f"needed to: {purpose} of inner cluster {cluster}"],
        hint="check cluster name and host.namespace; pulumi up makes the keys of a new cluster",
    )
