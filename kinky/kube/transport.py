"""The ways to the two APIs: a pool of connections and the headers of the identity."""

import base64
import ssl
import threading
from typing import TYPE_CHECKING, Any, Protocol

from kinky.kube.access import InnerAccess
from kinky.kube.exec_credential import ExecCredential, ExecSource, find_source
from kinky.kube.host_kubeconfig import HostKubeconfig
from kinky.kube.host_user import is_token
from kinky.kube.tls import build_context
from kinky.proxies import Proxy

if TYPE_CHECKING:
    from urllib3 import HTTPHeaderDict, PoolManager

POOL_SIZE = 4
"""Calls to one server at the same time; further calls wait."""


class Transport(Protocol):
    """A way to one API server."""

    @property
    def server(self) -> str:
        """URL of the server."""

    @property
    def proxy(self) -> Proxy | None:
        """The proxy on the way; None for a direct connection."""

    def open(self) -> "tuple[PoolManager, HTTPHeaderDict]":
        """Return the pool and the headers (secret) for one call."""

    def renew(self) -> None:
        """Get another credential for the next call, if possible, because the server refused this one."""


class HostTransport:
    """The way to the host's API that its kubeconfig describes; threads share it."""

    def __init__(self, described: HostKubeconfig) -> None:
        """Connect to nothing yet."""
        user = described.user
        self._described = described
        self._source: ExecSource | None = find_source(user.exec_plugin) if user.exec_plugin else None
        self._held: ExecCredential | None = None
        self._file_token = user.token
        self._pool: PoolManager | None = None
        self._lock = threading.Lock()

    @property
    def server(self) -> str:
        """URL of the server."""
        return self._described.server

    @property
    def proxy(self) -> Proxy | None:
        """The proxy on the way."""
        return self._described.proxy

    def open(self) -> "tuple[PoolManager, HTTPHeaderDict]":
        """Return the pool and the headers (secret) for one call.

        Raises:
            HostError: The kubeconfig's program for the login failed.
        """
        with self._lock:
            held = self._source.fetch() if self._source else None
            if self._pool is None or _certificate(held) != _certificate(self._held):
                self._pool = self._build_pool(held)
            self._held = held
            return self._pool, self._build_headers(held)

    def renew(self) -> None:
        """Run the program again before the next call."""
        if self._source and self._held:
            self._source.drop(self._held)

    def _build_pool(self, held: ExecCredential | None) -> "PoolManager":
        user = self._described.user
        certificate, key = (held.certificate, held.key) if held else (user.certificate, user.key)
        context = build_context(self._described.cas, certificate, key)
        return build_pool(context, server_name=self._described.tls_server_name, proxy=self.proxy)

    def _build_headers(self, held: ExecCredential | None) -> "HTTPHeaderDict":
        """Build the headers of the identity; a token from a file may be another one each time."""
        from urllib3 import HTTPHeaderDict

        user, headers = self._described.user, HTTPHeaderDict()
        token = held.token if held else self._read_token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        elif user.basic:
            headers["Authorization"] = f"Basic {base64.b64encode(user.basic.encode()).decode()}"
        for name, value in user.impersonation:
            # http.client sends each character of a text as one byte.
            headers.add(name, value.encode().decode("latin-1"))
        return headers

    def _read_token(self) -> str:
        """Read the token, from the file if there is one; while the file cannot be read, use its last token."""
        path = self._described.user.token_file
        try:
            token = path.read_text().strip() if path else ""
        except (OSError, ValueError):
            token = ""
        self._file_token = token if is_token(token) else self._file_token
        return self._file_token


class InnerTransport:
    """The published path to an inner cluster's API; it never uses a proxy of the environment."""

    proxy: Proxy | None = None

    def __init__(self, access: InnerAccess) -> None:
        """Connect to nothing yet."""
        self._access = access
        self._pool: PoolManager | None = None

    @property
    def server(self) -> str:
        """URL of the server."""
        return self._access.server

    def open(self) -> "tuple[PoolManager, HTTPHeaderDict]":
        """Return the pool without headers; it reads the files for each new connection."""
        from urllib3 import HTTPHeaderDict, PoolManager

        credential = str(self._access.credential_file)
        self._pool = self._pool or PoolManager(
            maxsize=POOL_SIZE,
            cert_reqs=ssl.CERT_REQUIRED,
            ca_certs=str(self._access.ca_file),
            cert_file=credential,
            key_file=credential,
            server_hostname=self._access.tls_server_name,
        )
        return self._pool, HTTPHeaderDict()

    def renew(self) -> None:
        """Do nothing: `kinky credential` renews the files."""


def build_pool(context: ssl.SSLContext, *, server_name: str = "", proxy: Proxy | None = None) -> "PoolManager":
    """Build a pool of verified connections, through a proxy where there is one."""
    from urllib3 import PoolManager, ProxyManager, make_headers

    options: dict[str, Any] = {"maxsize": POOL_SIZE, "ssl_context": context}
    options |= {"server_hostname": server_name} if server_name else {}
    if proxy is None:
        return PoolManager(**options)
    login = make_headers(proxy_basic_auth=proxy.basic_login) if proxy.login else None
    # As in client-go, the same CAs verify the server and an https proxy.
    return ProxyManager(proxy.url, proxy_headers=login, proxy_ssl_context=context, **options)


def _certificate(held: ExecCredential | None) -> bytes:
    return held.certificate if held else b""
