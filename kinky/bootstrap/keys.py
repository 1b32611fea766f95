"""The key material of a cluster: made once, in memory, and written straight into one host Secret.

Create-only: a Secret that exists is read, never written. Losing or replacing it means a new
cluster, so nothing here can overwrite it by accident (it is immutable on the host as well).
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from kinky import names
from kinky.bootstrap.certificates import (
    Pair,
    build_fingerprint,
    derive_public_key,
    make_authority,
    make_key,
)
from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.kube.objects import build_secret

AUTHORITIES = ("ca", "front-proxy-ca", "etcd-ca")
ENCRYPTION_FILE = "encryption-config.yaml"
PUBLIC_FILES = (*(f"{name}.crt" for name in AUTHORITIES), "sa.pub", ENCRYPTION_FILE)
"""Files that have a fingerprint. The encryption file's holds 32 random bytes, so its hash tells nothing of them."""
FILES = (*(f"{name}.{end}" for name in AUTHORITIES for end in ("crt", "key")), "sa.pub", "sa.key", ENCRYPTION_FILE)


@dataclass(frozen=True)
class KeyRecord:
    """Where the key material is, and what it is: names and SHA-256 fingerprints only."""

    secret_name: str
    fingerprints: dict[str, str] = field(default_factory=dict)


def ensure_cluster_keys(access: HostAccess, cluster: str) -> KeyRecord:
    """Make the cluster's authorities and keys, unless the host holds them already.

    Raises:
        HostError: the host refused, or a Secret of that name is not usable as this cluster's keys.
    """
    api = HostApi.connect(access)
    name = names.pki_secret(cluster)
    if api.fetch_here(resources.SECRETS, name) is None:
        body = build_secret(name, make_cluster_files(cluster), labels=names.cluster_labels(cluster), immutable=True)
        # Of two that start at once one creates, and both read what was created.
        api.create(resources.SECRETS, body, namespace=api.namespace)
    record = fetch_cluster_keys(access, cluster)
    if record is None:
        raise HostError(f"host cluster: Secret {name} was created and is gone again", hint="run pulumi up again")
    return record


def fetch_cluster_keys(access: HostAccess, cluster: str) -> KeyRecord | None:
    """Read which key material the host holds for the cluster; None when there is none."""
    api = HostApi.connect(access)
    files = _fetch_files(api, cluster)
    if files is None:
        return None
    prints = {name: build_fingerprint(files[name]) for name in PUBLIC_FILES}
    return KeyRecord(secret_name=names.pki_secret(cluster), fingerprints=prints)


def fetch_authority(api: HostApi, cluster: str) -> Pair:
    """Read the cluster CA with its key, to sign with; raises HostError when it is not there."""
    files = _fetch_files(api, cluster)
    if files is None:
        raise HostError(
            f"host cluster: Secret {names.pki_secret(cluster)} is not there in namespace {api.namespace}",
            details=[f"needed to: sign a certificate of inner cluster {cluster}"],
            hint="check cluster name and host.namespace; pulumi up makes the keys of a new cluster",
        )
    return Pair(files["ca.crt"], files["ca.key"])


def delete_key_secret(access: HostAccess, secret_name: str) -> None:
    """Delete one Secret with key material; one that is gone already is fine."""
    api = HostApi.connect(access)
    api.delete(resources.SECRETS, secret_name, namespace=api.namespace)


def make_cluster_files(cluster: str) -> dict[str, bytes]:
    """Make all files of the key Secret anew (secret)."""
    files: dict[str, bytes] = {}
    for name in AUTHORITIES:
        pair = make_authority(f"{cluster} {name}")
        files |= {f"{name}.crt": pair.certificate, f"{name}.key": pair.key}
    service_account_key = make_key()
    files |= {"sa.key": service_account_key, "sa.pub": derive_public_key(service_account_key)}
    return files | {ENCRYPTION_FILE: _make_encryption_config()}


def _make_encryption_config() -> bytes:
    """Make the API server's encryption configuration with a fresh key.

    secretbox comes first, so everything is written encrypted from the first boot; identity last
    only lets it read what was not, and there is nothing of the kind.
    """
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    providers = [{"secretbox": {"keys": [{"name": "key-1", "secret": key}]}}, {"identity": {}}]
    body = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
    return (json.dumps(body, indent=2) + "\n").encode()


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
    return {file: base64.b64decode(data[file]) for file in FILES}
