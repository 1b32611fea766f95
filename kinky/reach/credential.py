"""The admin's own credential for an inner cluster: a client certificate for one hour.

It is signed with the cluster CA, which is read from the host with the admin's own rights. So the right to read that
Secret is the right to use the cluster, and no file holds a lasting key. Its group is system:masters. A reader of the CA
key could sign any group, so a lesser one would protect nothing. It would lock the admin out of a cluster without its
role bindings.
"""

import getpass
import hashlib
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kinky import names, paths
from kinky.keys.certificates import (
    LeafRequest,
    fetch_not_after,
    format_time,
    is_issued_by,
    make_leaf,
)
from kinky.keys.material import fetch_ca
from kinky.kube.host import HostApi
from kinky.kube.kubeconfig import (
    build_exec_credential,
    build_kubeconfig,
    remove_staged,
    write_kubeconfig,
    write_private,
)
from kinky.reach.forward import CA_FILE

CREDENTIAL_LIFE = timedelta(hours=1)
RENEW_BEFORE = timedelta(minutes=5)
"""A credential is replaced this long before it expires, so that a call in flight does not fail."""

CREDENTIAL_FILE = "credential.pem"
KUBECONFIG_FILE = "kubeconfig.yaml"
PROBE_FILE = "probe.pem"
"""Certificate and key of a user without rights, while a rotation asks with them; a killed one leaves them."""
PROBE_CA_FILE = "probe.crt"


@dataclass(frozen=True, kw_only=True)
class Credential:
    """The files by which this machine asks an inner API."""

    ca_file: Path
    file: Path
    """Client certificate and key in one PEM file."""
    version: str
    """SHA-256 of both files: a connection that was opened with another one is out of date."""


def fetch_exec_credential(connect: Callable[[], HostApi], cluster: str) -> str:
    """Return what kubectl wants from an exec plugin, as JSON (secret: print it and let it go).

    Args:
        connect: Opens the host, which is asked only when no usable credential is left.
    """
    directory = paths.stack_dir(cluster)
    if not is_usable(directory / CREDENTIAL_FILE, directory / CA_FILE):
        refresh_credential(connect(), cluster)
    certificate, separator, rest = (directory / CREDENTIAL_FILE).read_text().partition("-----BEGIN PRIVATE KEY-----")
    expires = fetch_not_after(certificate.encode()) - RENEW_BEFORE
    body = build_exec_credential(certificate=certificate, key=separator + rest, expires_at=format_time(expires))
    return json.dumps(body)


def refresh_credential(host: HostApi, cluster: str) -> Credential:
    """Return the files with the CA that the host holds now, and with a credential that it has signed.

    The CA is read each time, because another machine may have rotated it since. A credential of an earlier cluster or
    of a former CA is not usable then.
    """
    directory = paths.stack_dir(cluster)
    ca_file, file = directory / CA_FILE, directory / CREDENTIAL_FILE
    ca = fetch_ca(host, cluster)
    _write_changed(ca_file, ca.certificate)
    if not is_usable(file, ca_file):
        leaf = make_leaf(
            ca,
            LeafRequest(
                common_name=f"kinky:{describe_admin()}", organizations=["system:masters"], life=CREDENTIAL_LIFE
            ),
        )
        write_private(file, leaf.certificate + leaf.key)
    version = hashlib.sha256(ca.certificate + file.read_bytes()).hexdigest()
    return Credential(ca_file=ca_file, file=file, version=version)


def write_inner_kubeconfig(host: HostApi, cluster: str, server: str, *, kinky_command: str) -> str:
    """Write the cluster's kubeconfig, which names a command instead of a key, and return its path."""
    directory, access = paths.stack_dir(cluster), host.access
    _write_changed(directory / CA_FILE, fetch_ca(host, cluster).certificate)
    # One word: a name that begins with a hyphen would be read as an option.
    context = [f"--host-context={access.context}"] if access.context else []
    path = directory / KUBECONFIG_FILE
    write_kubeconfig(
        path,
        build_kubeconfig(
            cluster,
            server=server,
            tls_server_name=names.endpoint_host(cluster),
            ca_file=directory / CA_FILE,
            command=kinky_command,
            arguments=[
                "credential",
                *("--cluster", cluster),
                *("--host-kubeconfig", access.kubeconfig),
                *context,
                *("--host-namespace", access.namespace),
            ],
        ),
    )
    return str(path)


def forget_credentials(cluster: str) -> None:
    """Remove the cached credential, the CA and the kubeconfig of a cluster from this machine."""
    forget_leftovers(cluster)
    for name in (CREDENTIAL_FILE, CA_FILE, KUBECONFIG_FILE):
        (paths.stack_dir(cluster) / name).unlink(missing_ok=True)


def forget_leftovers(cluster: str) -> None:
    """Remove what a kinky that was killed has left of a cluster's keys on this machine."""
    directory = paths.stack_dir(cluster)
    remove_staged(directory)
    for name in (PROBE_FILE, PROBE_CA_FILE):
        (directory / name).unlink(missing_ok=True)


def is_usable(credential: Path, ca: Path) -> bool:
    """Tell whether the cached credential is private, of this CA, and valid for some minutes more."""
    try:
        if credential.stat().st_mode & 0o077:
            return False
        pem = credential.read_bytes()
        expires = fetch_not_after(pem)
        issued = is_issued_by(pem, ca.read_bytes())
    except (OSError, ValueError):
        return False
    return issued and datetime.now(UTC) < expires - RENEW_BEFORE


def _write_changed(path: Path, content: bytes) -> None:
    """Write a file unless it holds this already: each question comes by here."""
    if not path.is_file() or path.read_bytes() != content:
        write_private(path, content)


def describe_admin() -> str:
    """Describe who asks, as the inner API sees them."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
