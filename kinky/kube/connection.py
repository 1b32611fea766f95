"""One HTTP connection to one Kubernetes API: timeouts, and errors with verb and object.

urllib3 is imported inside functions: kubectl runs `kinky credential` before each of its own calls.
"""

import json
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from kinky.errors import HostError
from kinky.kube.access import HostAccess, InnerAccess, StreamTerms
from kinky.kube.host_kubeconfig import read_host_kubeconfig
from kinky.kube.tls import build_context
from kinky.kube.transport import HostTransport, InnerTransport, Transport, build_pool
from kinky.proxies import describe_way

JsonObject = dict[str, Any]
T = TypeVar("T")

CONNECT_TIMEOUT_SECONDS = 5.0
CALL_TIMEOUT_SECONDS = 20.0
"""An emulated API server answers slowly; a server that takes longer than this counts as silent."""

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_CONTENT_REFUSALS = (400, 422)


class ApiError(HostError):
    """An API refused a call, or did not answer; `status` is None when there was no answer."""

    def __init__(
        self, message: str, *, status: int | None = None, details: Sequence[str] = (), hint: str | None = None
    ) -> None:
        """Keep the HTTP status beside the text."""
        super().__init__(message, details=details, hint=hint)
        self.status = status


class UnavailableError(ApiError):
    """An API did not answer, or not now (5xx, 429): the same call may succeed a moment later."""


def if_allowed(ask: Callable[[], T]) -> T | None:
    """Return the answer; None for a missing right only, so that a silent API does not look like one."""
    try:
        return ask()
    except ApiError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        return None


@dataclass(frozen=True)
class Reply:
    """Status and body of an answer that was not refused."""

    status: int
    body: bytes

    def parse(self) -> JsonObject:
        """Parse the body as one JSON object.

        Raises:
            HostError: The answer is not JSON, for example because something between us and the API answered.
        """
        try:
            parsed = json.loads(self.body or b"{}")
        except ValueError:
            raise HostError(
                f"what answered is no Kubernetes API: status {self.status}, {len(self.body)} bytes that are not JSON",
                hint="look at the server in the kubeconfig, and at proxies on the way to it",
            ) from None
        return parsed if isinstance(parsed, dict) else {}


class Connection:
    """A caller of one API by path; it knows nothing about kinds of object."""

    def __init__(self, transport: Transport, *, target: str) -> None:
        """Keep the way to the server; `target` is the cluster's name for messages."""
        self._transport = transport
        self.target = target
        self.clock_ahead = timedelta(0)
        """How far our clock was ahead of the server's at its last answer; zero without a Date."""

    @property
    def server(self) -> str:
        """The URL of the API server, which holds no credential."""
        return self._transport.server

    def call(
        self,
        method: str,
        path: str,
        *,
        what: str,
        query: Mapping[str, str | int] | None = None,
        body: JsonObject | list[JsonObject] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json, */*",
        allowed: tuple[int, ...] = (),
        timeout_seconds: float = CALL_TIMEOUT_SECONDS,
    ) -> Reply:
        """Make one call; `what` is verb and object for the message, `allowed` are no errors.

        Raises:
            ApiError: the API refused the call, or did not answer in time.
        """
        import urllib3

        pool, identity = self._transport.open()
        headers = urllib3.HTTPHeaderDict({"Accept": accept, "User-Agent": "kinky"})
        headers.extend({"Content-Type": content_type} if body is not None else {})
        headers.extend(identity)
        try:
            answer = pool.request(
                method,
                self.server + path + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else json.dumps(body),
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=timeout_seconds),
                retries=urllib3.Retry(connect=1, read=0, redirect=0, status=0, other=0),
            )
            reply = Reply(status=int(answer.status), body=bytes(answer.data or b""))
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # A ValueError is a header that cannot be sent; its text would quote the header.
            via = describe_way(self._transport.proxy)
            raise UnavailableError(f"{self.target}: cannot {what}: {_short_reason(error)}{via}") from None
        self.clock_ahead = _measure_ahead(answer.headers.get("Date"))
        if reply.status == HTTPStatus.UNAUTHORIZED:
            self._transport.renew()
        if 200 <= reply.status < 300 or reply.status in allowed:
            return reply
        raise _refusal(self.target, what, reply)

    def describe_stream(self) -> StreamTerms:
        """Return the data to open a stream besides this connection; an expired credential is replaced first.

        Raises:
            HostError: The kubeconfig's program for the login failed.
        """
        pool, identity = self._transport.open()
        proxy = self._transport.proxy
        # The transport writes each byte of a value as one character, as http.client wants it.
        values = ((name, value.encode("latin-1").decode()) for name, value in identity.iteritems())
        return StreamTerms(
            server=self.server,
            headers=(("Accept", "*/*"), ("User-Agent", "kinky"), *values),
            ssl_context=pool.connection_pool_kw.get("ssl_context"),
            server_name=pool.connection_pool_kw.get("server_hostname"),
            proxy=proxy.url if proxy else None,
            proxy_headers=dict(getattr(pool, "proxy_headers", None) or {}),
        )

    def find_certificate_fault(self, cas: bytes) -> str:
        """Return why a client with only these CAs would not trust the server at this URL; empty when it would.

        No credential is sent.

        Raises:
            UnavailableError: The server did not answer.
        """
        import urllib3

        proxy, host = self._transport.proxy, urlsplit(self.server).hostname or ""
        try:
            pool = build_pool(build_context(cas), proxy=proxy)
        except ssl.SSLError:
            return "the CA is not a certificate"
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=CALL_TIMEOUT_SECONDS)
        try:
            pool.request("GET", f"{self.server}/version", timeout=timeout, retries=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                return _find_fault(str(error), host)
            raise UnavailableError(
                f"{self.target}: cannot read the certificate: {_short_reason(error)}{describe_way(proxy)}"
            ) from None
        return ""


def _find_fault(text: str, host: str) -> str:
    """Return in a few words why a certificate is not trusted."""
    if "mismatch" in text or "doesn't match" in text:
        return f"its certificate is not for {host}"
    if "expired" in text:
        return "its certificate has expired"
    return "its certificate is not of this CA"


def _measure_ahead(date: str | None) -> timedelta:
    """Compare our clock with an answer's header Date, which has whole seconds (RFC 9110, section 6.6.1)."""
    try:
        told = parsedate_to_datetime(date or "")
    except ValueError:
        return timedelta(0)
    return datetime.now(UTC) - told.astimezone(UTC)


def _short_reason(error: BaseException) -> str:
    """Tell in a few words why there was no answer; urllib3's own text carries object addresses."""
    text = str(error)
    refused = re.search(r"Tunnel connection failed: (\d{3})", text)
    if refused:
        return f"the proxy refused ({refused[1]})"
    for sign, reason in (
        ("timed out", "no answer in time"),
        ("Connection refused", "connection refused"),
        ("Name or service not known", "the server's name is unknown"),
        ("CERTIFICATE_VERIFY_FAILED", "its TLS certificate is not the expected one"),
        ("reset by peer", "connection reset"),
        ("No route to host", "no route to host"),
        ("EOF occurred", "connection closed"),
        ("closed connection", "connection closed"),
    ):
        if sign.lower() in text.lower():
            return reason
    return type(error).__name__


def _refusal(target: str, what: str, reply: Reply) -> ApiError:
    """Build the error for an answer with an error status.

    A 400 or 422 may quote what was sent, which may be a Secret, so of those only the reason is
    told.
    """
    try:
        status = reply.parse()
    except HostError:
        status = {}
    reason = str(status.get("reason") or "refused")
    message = "" if reply.status in _CONTENT_REFUSALS and "Secret" in what else status.get("message", "")
    told = f"{reason} ({reply.status})" + (f": {message}" if message else "")
    kind = UnavailableError if reply.status >= 500 or reply.status == 429 else ApiError
    return kind(f"{target}: cannot {what}: {told}", status=reply.status)


def open_host(access: HostAccess) -> Connection:
    """Open the host cluster's API by the admin's kubeconfig; sends nothing to it yet.

    Raises:
        HostError: The kubeconfig cannot be used, or its program for the login failed.
    """
    transport = HostTransport(read_host_kubeconfig(access))
    transport.open()
    return Connection(transport, target="host cluster")


def open_inner(access: InnerAccess) -> Connection:
    """Open the inner cluster's API through its published path, verified against our own CA."""
    return Connection(InnerTransport(access), target=f'inner cluster "{access.cluster}"')
