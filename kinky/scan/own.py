"""The secrets of the stack itself: only these must be found, because others may come and go during a scan."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from kinky import names
from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.host import HostApi
from kinky.scan.expected import IN_HOST_SECRETS
from kinky.scan.known import read_file
from kinky.scan.secret import KnownSecret, SecretClass

IsOwn = Callable[[KnownSecret], bool]


def build_own(api: HostApi, cluster: str, *, embedded: bool, passphrase: Path | None) -> IsOwn:
    """Return the check whether a secret must be found: it belongs to the stack, and is still in its place.

    The owners of the host's Secrets are read now. A missing Secret without an owner is looked up again later.

    Args:
        embedded: Whether the stack is on the embedded host, whose keys are its own then.
        passphrase: The file with the stack's passphrase, if it has one.
    """
    owners = {
        str(body["metadata"]["name"]): find_owner(body, cluster) for body in api.fetch_all_here(resources.SECRETS)
    }

    def is_own(secret: KnownSecret) -> bool:
        if secret.secret_class in IN_HOST_SECRETS:
            name = secret.name.partition("/")[0]
            owner = owners.get(name)
            return owner == cluster or (owner is None and api.fetch_here(resources.SECRETS, name) is not None)
        if secret.secret_class is SecretClass.ADMIN_KEY:
            # It is valid for an hour, and the next one has the same name.
            file = Path(secret.name)
            return file.parent.name == cluster and secret.reveal() in read_file(file)
        if secret.secret_class is SecretClass.PASSPHRASE:
            return secret.name == str(passphrase)
        return embedded or secret.secret_class is not SecretClass.HOST_KEY

    return is_own


def find_owner(body: JsonObject, cluster: str) -> str | None:
    """Return the cluster of a Secret, or None; names alone cannot tell lab's Secrets from lab-store's."""
    metadata = body["metadata"]
    labelled = (metadata.get("labels") or {}).get(names.LABEL_CLUSTER)
    if labelled is not None:
        return str(labelled)
    patterns = (
        names.pki_secret(cluster),
        names.credentials_secret(f"{cluster}-*", "*"),
        names.store_secret(cluster, "*"),
    )
    return cluster if any(fnmatchcase(metadata["name"], pattern) for pattern in patterns) else None
