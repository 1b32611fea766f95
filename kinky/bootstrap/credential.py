"""The operator's own credential for an inner cluster: a client certificate for one hour.

It is signed with the cluster CA, which is read from the host with the operator's own rights, so
who may read that Secret may use the cluster, and no file holds a lasting key. Its group is
system:masters: who can read the CA key could sign any group, so a lesser one would protect
nothing, and would lock the operator out of a cluster whose role bindings are missing.
"""

import getpass
import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kinky import names, paths
from kinky.bootstrap.certificates import (
    LeafRequest,
    fetch_not_after,
    format_time,
    is_issued_by,
    make_leaf,
)
from kinky.bootstrap.forward import CA_FILE
from kinky.bootstrap.keys import fetch_authority
from kinky.kube.access import HostAccess, InnerAccess
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.kube.kubeconfig import (
    build_exec_credential,
    build_kubeconfig,
    remove_staged,
    write_kubeconfig,
    write_private,
)

CREDENTIAL_LIFE = timedelta(hours=1)
RENEW_BEFORE = timedelta(minutes=5)
"""A credential is replaced this long before it expires, so that a call in flight does not fail."""

CREDENTIAL_FILE = "credential.pem"
KUBECONFIG_FILE = "kubeconfig.yaml"
PROBE_FILE = "probe.pem"
"""Certificate and key of a user without rights, while a rotation asks with them; a killed one leaves them."""
PROBE_CA_FILE = "probe.crt"


def fetch_exec_credential(access: HostAccess, cluster: str) -> str:
    """Return what kubectl wants from an exec plugin, as JSON (secret: print it and let it go)."""
    pem = _ensure_cached(access, cluster, paths.stack_dir(cluster)).read_text()
    certificate, separator, rest = pem.partition("-----BEGIN PRIVATE KEY-----")
    expires = fetch_not_after(certificate.encode()) - RENEW_BEFORE
    body = build_exec_credential(certificate=certificate, key=separator + rest, expires_at=format_time(expires))
    return json.dumps(body)


def connect_inner(access: HostAccess, cluster: str, server: str) -> InnerApi:
    """Open the inner API at this URL with the operator's credential, verified against the cluster CA.

    The CA is read from the host each time: another machine may have rotated it since.
    """
    directory = paths.stack_dir(cluster)
    _refresh_authority(access, cluster, directory)
    credential = _ensure_cached(access, cluster, directory)
    return InnerApi.connect(
        InnerAccess(
            cluster=cluster,
            server=server,
            tls_server_name=names.endpoint_host(cluster),
            ca_file=directory / CA_FILE,
            credential_file=credential,
        )
    )


def write_inner_kubeconfig(access: HostAccess, cluster: str, server: str, *, kinky_command: str) -> str:
    """Write the cluster's kubeconfig, which names a command instead of a key, and return its path."""
    directory = paths.stack_dir(cluster)
    _refresh_authority(access, cluster, directory)
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


def is_usable(credential: Path, authority: Path) -> bool:
    """Tell whether the cached credential is private, of this authority, and valid for some minutes more."""
    try:
        if credential.stat().st_mode & 0o077:
            return False
        pem = credential.read_bytes()
        expires = fetch_not_after(pem)
        issued = is_issued_by(pem, authority.read_bytes())
    except (OSError, ValueError):
        return False
    return issued and datetime.now(UTC) < expires - RENEW_BEFORE


def _ensure_cached(access: HostAccess, cluster: str, directory: Path) -> Path:
    """Return the file with a usable credential; sign a new one when there is none."""
    credential = directory / CREDENTIAL_FILE
    if is_usable(credential, directory / CA_FILE):
        return credential
    authority = fetch_authority(HostApi.connect(access), cluster)
    request = LeafRequest(
        common_name=f"kinky:{describe_operator()}", organizations=["system:masters"], life=CREDENTIAL_LIFE
    )
    leaf = make_leaf(authority, request)
    write_private(directory / CA_FILE, authority.certificate)
    write_private(credential, leaf.certificate + leaf.key)
    return credential


def _refresh_authority(access: HostAccess, cluster: str, directory: Path) -> None:
    """Read the CA from the host again; a credential of an earlier cluster or of a former CA is then not usable."""
    certificate = fetch_authority(HostApi.connect(access), cluster).certificate
    write_private(directory / CA_FILE, certificate)


def describe_operator() -> str:
    """Describe who asks, as the inner API sees them."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
