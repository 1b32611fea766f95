"""Which secrets there are: read from the host's namespace and from this machine's own files, kept in memory only."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from kinky import names, paths
from kinky.given_paths import resolve_given
from kinky.kube import resources
from kinky.kube.host import HostApi
from kinky.progress import note
from kinky.scan.pem import parse_private_keys
from kinky.scan.secret import KnownSecret, SecretClass
from kinky.vault.token import find_tokens

PUBLIC: Final = re.compile(r"\.(crt|pub)$|^(userdata|networkdata|namespace)$")
"""Keys of host Secrets that hold nothing secret: certificates, public keys, user-data, the name of a namespace."""
OWN: Final = {
    names.pki_secret("*"): SecretClass.PRIVATE_KEY,
    names.credentials_secret("*", "*"): SecretClass.PRIVATE_KEY,
    names.store_secret("*", "*"): SecretClass.STORE_VALUE,
}
"""The kinds of secrets in the Secrets that KinKy makes, by the pattern of their names."""
_ENCRYPTION_KEY: Final = re.compile(rb'"secret": "([^"]+)"')
_CLIENT_KEY: Final = re.compile(rb"client-key-data: (\S+)")


def read_host_secrets(api: HostApi) -> list[KnownSecret]:
    """Read every secret value of the namespace, whoever made it."""
    return [
        known
        for body in api.fetch_all_here(resources.SECRETS)
        for key, encoded in (body.get("data") or {}).items()
        if not PUBLIC.search(key)
        for known in classify(body["metadata"]["name"], key, base64.b64decode(encoded))
    ]


def read_local() -> list[KnownSecret]:
    """Read the secrets in this machine's files, and in the admin's variables and files; needs no cluster."""
    given = os.environ.get(names.PASSPHRASE_VARIABLE, "").encode()
    return [
        *read_local_secrets(passphrases=list_passphrases(), host_keys=paths.host_keys_dir()),
        *know([(SecretClass.PASSPHRASE, f"${names.PASSPHRASE_VARIABLE}", given)] if given else []),
        *know((SecretClass.ADMIN_TOKEN, where, token.encode()) for where, token in find_tokens()),
    ]


def list_passphrases() -> set[Path]:
    """Return our own passphrase file and the admin's one."""
    named = os.environ.get(names.PASSPHRASE_FILE_VARIABLE)
    return {paths.passphrase_file(), *([resolve_given(named)] if named else [])}


def read_local_secrets(*, passphrases: Iterable[Path], host_keys: Path) -> list[KnownSecret]:
    """Read the secrets that KinKy keeps in files: passphrase, admins' credentials, keys of the embedded host.

    Args:
        passphrases: Files with a passphrase; a missing file is skipped.
        host_keys: Folder of the embedded host's certificates and keys.
    """
    found = [(SecretClass.PASSPHRASE, file, content) for file in passphrases if (content := read_file(file))]
    for secret_class, files in (
        (SecretClass.ADMIN_KEY, paths.state_dir().glob("clusters/*/*.pem")),
        (SecretClass.HOST_KEY, host_keys.rglob("*.key")),
    ):
        found += [(secret_class, file, key) for file in sorted(files) for key in parse_private_keys(read_file(file))]
    kubeconfig = paths.host_kubeconfig()
    keys = _CLIENT_KEY.findall(read_file(kubeconfig))
    found += [(SecretClass.HOST_KEY, kubeconfig, base64.b64decode(key)) for key in keys]
    return know((secret_class, str(file), value) for secret_class, file, value in found)


def read_file(file: Path) -> bytes:
    """Read a file; empty when it is missing, because another command may remove it at any time."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        note(f"secrets in {file} are not searched for: {error.strerror}")
        return b""


def know(found: Iterable[tuple[SecretClass, str, bytes]]) -> list[KnownSecret]:
    """Return what of these values, each with its class and name, is long enough to be looked for."""
    return [known for secret_class, name, value in found for known in _know(secret_class, name, value)]


def classify(secret: str, key: str, value: bytes) -> Iterator[KnownSecret]:
    """Yield what is secret in one value of a host Secret: a private key without its certificate, a key without JSON."""
    name = f"{secret}/{key}"
    secret_class = next((found for pattern, found in OWN.items() if fnmatchcase(secret, pattern)), None)
    if b"EncryptionConfiguration" in value:
        for encoded in _ENCRYPTION_KEY.findall(value):
            yield from _know(SecretClass.ENCRYPTION_KEY, name, base64.b64decode(encoded))
        return
    if secret_class is None:
        secret_class = SecretClass.TOKEN if key == "token" else SecretClass.OTHER_VALUE
    for part in parse_private_keys(value) or [value]:
        yield from _know(secret_class, name, part)


def _know(secret_class: SecretClass, name: str, value: bytes) -> Iterator[KnownSecret]:
    """Yield the secret, unless it is too short to be looked for, which is told."""
    try:
        yield KnownSecret(secret_class, name, value)
    except ValueError as error:
        note(f"not looked for: {error}")
