"""The certificates that a node presents and accepts, seen from outside: it verifies one CA, or refuses another."""

from __future__ import annotations

import contextlib
import math
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kinky import names, paths
from kinky.keys.cas import get_ca, get_former_client, get_next
from kinky.keys.certificates import (
    LeafRequest,
    Pair,
    build_fingerprint,
    fetch_not_after,
    is_issued_by,
    make_leaf,
    split_certificates,
)
from kinky.keys.material import fetch_key_files
from kinky.keys.node_credentials import CLIENT_CERTIFICATE, SERVING_CERTIFICATE, fetch_credentials_name
from kinky.kube.access import InnerAccess
from kinky.kube.connection import ApiError
from kinky.kube.inner import InnerApi
from kinky.kube.kubeconfig import write_private
from kinky.manifests.services import KUBELET_PORT
from kinky.names import FINGERPRINT_LENGTH
from kinky.operations.window import look_through
from kinky.os_errors import name_reason
from kinky.reach.credential import PROBE_CA_FILE, PROBE_FILE
from kinky.reach.forward import LOOPBACK
from kinky.retry import Pending
from kinky.rotation.site import KeySite

PROBE = "kinky:authority-probe"
"""The user of a proof, without a group, so that the certificate opens nothing."""
PROBE_LIFE = timedelta(minutes=10)
HANDSHAKE_SECONDS = 20.0
"""As for any call: an emulated kubelet answers slowly."""
CLOCK_DIFFERENCE_SECONDS = 600.0
"""By how much a guest's clock may differ from ours; certificates of two signings differ by far more."""
_CLIENT_SECONDS = re.compile(r"^kubelet_certificate_manager_client_ttl_seconds (\S+)$", re.MULTILINE)


def check_trusts_next(site: KeySite, inner: InnerApi) -> str | Pending:
    """Look whether the API server that answers accepts what the waiting CA signs."""
    files = fetch_key_files(site.host, site.cluster)
    return _check_accepted(site, inner, get_next(files), trusted=files["ca.crt"])


def check_signs(site: KeySite, inner: InnerApi) -> str | Pending:
    """Look whether the API server that answers presents the signing CA's certificate, and still knows the last.

    The second is the counter-test of `check_refuses_former`, with the same certificate.
    """
    files = fetch_key_files(site.host, site.cluster)
    ca = get_ca(files)
    trusted = split_certificates(ca.certificate)[0]
    found = _check_accepted(site, inner, ca, trusted=trusted)
    if isinstance(found, Pending) or _ask_as(site, inner, get_former_client(files), trusted=trusted):
        return found
    return Pending("it refuses already what the former CA has signed")


def check_refuses_former(site: KeySite, inner: InnerApi) -> str | Pending:
    """Look whether the API server that answers accepts the signing CA's certificates, and no older ones."""
    files = fetch_key_files(site.host, site.cluster)
    ca = get_ca(files)
    found = _check_accepted(site, inner, ca, trusted=ca.certificate)
    if isinstance(found, Pending):
        return found
    user = _ask_as(site, inner, get_former_client(files), trusted=ca.certificate)
    if user:
        return Pending(f"it still accepts what the former CA has signed, as {user}")
    return f"{found}; 401 for a certificate of the former one"


def check_node(site: KeySite, inner: InnerApi, node: str) -> str | Pending:
    """Look whether a node presents certificates of the signing CA alone."""
    ca = split_certificates(get_ca(fetch_key_files(site.host, site.cluster)).certificate)[0]
    if node in site.workers:
        found = _check_worker(site, inner, node, ca)
        if isinstance(found, Pending):
            return found
    return look_through(site, node, KUBELET_PORT, lambda port: check_served(port, server_name=node, ca=ca))


def check_served(port: int, *, server_name: str, ca: bytes) -> str | Pending:
    """Look whether what listens on a port of this machine presents a certificate of this CA."""
    context = ssl.create_default_context(cadata=ca.decode())
    try:
        with (
            socket.create_connection((LOOPBACK, port), timeout=HANDSHAKE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=server_name),
        ):
            return f"{server_name} presents a certificate of {_short(ca)}"
    except ssl.SSLCertVerificationError as error:
        return Pending(f"the kubelet of {server_name} presents another certificate: {error.verify_message}")
    except OSError as error:
        return Pending(f"the kubelet of {server_name} does not answer: {name_reason(error)}")


def _check_worker(site: KeySite, inner: InnerApi, node: str, ca: bytes) -> str | Pending:
    """Look whether a worker's kubelet uses the client certificate of its Secret, and who has signed that one.

    Nothing shows a kubelet's client certificate from outside; until when it is valid the kubelet tells to the second.
    """
    secret = fetch_credentials_name(site.host, node)
    files = site.host.fetch_secret_here(secret) or {}
    older = [
        name
        for name in (CLIENT_CERTIFICATE, SERVING_CERTIFICATE)
        if name not in files or not is_issued_by(files[name], ca)
    ]
    if older:
        return Pending(f"{node}: Secret {secret} holds {' and '.join(older)} of another CA")
    left = (fetch_not_after(files[CLIENT_CERTIFICATE]) - datetime.now(UTC)).total_seconds()
    told = _CLIENT_SECONDS.search(inner.fetch_node_metrics(node))
    seen = float(told[1]) if told else math.inf
    if abs(seen - left) > CLOCK_DIFFERENCE_SECONDS:
        return Pending(
            f"{node}: its kubelet's client certificate ends in {seen:.0f} s, that of Secret {secret} in {left:.0f} s"
        )
    return "the Secret's"


def _check_accepted(site: KeySite, inner: InnerApi, ca: Pair, *, trusted: bytes) -> str | Pending:
    """Look whether the API server that answers is one of the trusted, and accepts what this CA signs."""
    leaf = make_leaf(ca, LeafRequest(common_name=PROBE, life=PROBE_LIFE))
    if _ask_as(site, inner, leaf, trusted=trusted) != PROBE:
        return Pending(f"it refuses a certificate of {_short(ca.certificate)}")
    return f"accepts certificates of {_short(ca.certificate)}"


def _ask_as(site: KeySite, inner: InnerApi, client: Pair, *, trusted: bytes) -> str:
    """Ask the API server that `inner` leads to who we are with this certificate; empty when it refuses us (401).

    Raises:
        ApiError: it did not answer, or does not verify against what is trusted.
    """
    directory = paths.stack_dir(site.cluster)
    with (
        _private_file(directory / PROBE_FILE, client.certificate + client.key) as credential,
        _private_file(directory / PROBE_CA_FILE, trusted) as ca_file,
    ):
        access = InnerAccess(
            cluster=site.cluster,
            server=inner.server,
            tls_server_name=names.endpoint_host(site.cluster),
            ca_file=ca_file,
            credential_file=credential,
        )
        try:
            return InnerApi.connect(access).fetch_user()
        except ApiError as error:
            if error.status != 401:
                raise
            return ""


@contextlib.contextmanager
def _private_file(path: Path, content: bytes) -> Iterator[Path]:
    """Write a file that is gone after the block."""
    write_private(path, content)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _short(ca: bytes) -> str:
    return build_fingerprint(ca)[:FINGERPRINT_LENGTH]
