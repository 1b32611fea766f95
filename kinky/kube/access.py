"""Where the two APIs are, as plain values; nothing here opens a connection."""

import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kinky import paths
from kinky.errors import HostError
from kinky.given_paths import resolve_given


@dataclass(frozen=True, kw_only=True)
class HostAccess:
    """How to reach the host cluster, and the one namespace that this inner cluster uses there."""

    kubeconfig: str
    """Absolute path of the kubeconfig file; several paths are joined by a colon, as kubectl has it."""
    context: str | None
    """Context inside the file; None is the file's current context."""
    namespace: str
    cluster: str
    """Name of the inner cluster: objects of any other cluster are not touched."""
    host_uid: str = ""
    """Identity of the host cluster, as `HostApi.fetch_host_uid` found it; empty before it is known."""
    cluster_id: str = ""
    """Identity of the inner cluster, as in its record on the host; empty before it is known."""


@dataclass(frozen=True, kw_only=True)
class InnerAccess:
    """How to reach the inner API from the admin's side."""

    cluster: str
    server: str
    """URL of the published path, which differs from the name in the certificate."""
    tls_server_name: str
    ca_file: Path
    credential_file: Path
    """Client certificate and key in one PEM file, mode 0600."""


@dataclass(frozen=True, kw_only=True)
class StreamTerms:
    """Data to open a stream besides the calls to an API: the same server, identity, checks and proxy."""

    server: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """Names and values, perhaps several with one name; they include the token, if there is one."""
    ssl_context: ssl.SSLContext | None
    """None for a server without TLS."""
    server_name: str | None
    """Name in the server's certificate, where the URL has another."""
    proxy: str | None
    """URL of the proxy on the way."""
    proxy_headers: Mapping[str, str] = field(repr=False)
    """Headers for the proxy only; they include its password, if there is one."""


def resolve_access(*, kubeconfig: str | None, context: str | None, namespace: str, cluster: str) -> HostAccess:
    """Find the kubeconfig of the host cluster; raises HostError if it does not exist."""
    candidates = [resolve_given(kubeconfig)] if kubeconfig else list(_default_kubeconfigs())
    found = [path for path in candidates if path.is_file()]
    if not found:
        raise _no_kubeconfig(kubeconfig, candidates)
    joined = os.pathsep.join(str(path) for path in found)
    return HostAccess(kubeconfig=joined, context=context, namespace=namespace, cluster=cluster)


def _default_kubeconfigs() -> Iterator[Path]:
    """Yield what kubectl would read, without the kubeconfigs of inner clusters.

    `kinky env` points KUBECONFIG at an inner cluster. The program must not take that one for
    its host when it runs again in the same shell.
    """
    inner = paths.state_dir() / "clusters"
    named = [resolve_given(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    outside = [path for path in named if not path.is_relative_to(inner)]
    yield from outside or [resolve_given("~/.kube/config")]


def _no_kubeconfig(asked: str | None, candidates: list[Path]) -> HostError:
    looked = ", ".join(str(path) for path in candidates)
    where = "host.kubeconfig names a file that does not exist" if asked else "no kubeconfig found"
    return HostError(
        f"host cluster: {where}: {looked}",
        hint="set host.kubeconfig in the stack file, or start a local host: kinky host up",
    )
