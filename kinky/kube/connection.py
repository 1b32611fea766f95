"""One HTTP connection to one Kubernetes API: timeouts, and errors with verb and object.

The `kubernetes` package (and urllib3, which it brings) is imported inside functions, here and nowhere
else: it takes about a second, and kubectl runs `kinky credential` before each of its own calls.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from kinky.errors import HostError
from kinky.kube.access import HostAccess, InnerAccess, StreamTerms

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

JsonObject = dict[str, Any]

CONNECT_TIMEOUT_SECONDS = 5.0
CALL_TIMEOUT_SECONDS = 20.0
"""An emulated API server answers slowly, but one that takes longer than this counts as silent."""

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_CONTENT_REFUSALS = (400, 422)
_OPENING = threading.Lock()
"""Held while a kubeconfig is read: Pulumi runs steps in threads, and the package shares the files of its keys."""


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


@dataclass(frozen=True)
class Reply:
    """Status and body of an answer that was not refused."""

    status: int
    body: bytes

    def parse(self) -> JsonObject:
        """Parse the body as one JSON object.

        Raises:
            HostError: it is none, as when something between us and the API answered.
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

    def __init__(self, client: "ApiClient", *, target: str) -> None:
        """Keep the client; `target` is the cluster's name for messages."""
        self._configuration = client.configuration
        self._pool = client.rest_client.pool_manager
        self.target = target
        self.clock_ahead = timedelta(0)
        """How far our clock was ahead of the server's at its last answer; zero for one that does not tell."""

    @property
    def server(self) -> str:
        """The URL of the API server, which holds no credential."""
        return str(self._configuration.host)

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

        The client's own `call_api` is not used: it writes answers, Secrets among them, to its debug log.

        Raises:
            ApiError: the API refused the call, or did not answer in time.
        """
        import urllib3

        try:
            answer = self._pool.request(
                method,
                self.server + path + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else json.dumps(body),
                headers=self._build_headers(content_type if body is not None else None, accept),
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=timeout_seconds),
                retries=urllib3.Retry(connect=1, read=0, redirect=0, status=0, other=0),
            )
            reply = Reply(status=int(answer.status), body=bytes(answer.data or b""))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{self.target}: cannot {what}: {_short_reason(error)}") from None
        self.clock_ahead = _measure_ahead(answer.headers.get("Date"))
        if 200 <= reply.status < 300 or reply.status in allowed:
            return reply
        raise _refusal(self.target, what, reply)

    def describe_stream(self) -> StreamTerms:
        """Describe how to open a stream beside this connection; a token that is about to end is replaced first."""
        options = self._pool.connection_pool_kw
        proxy = getattr(self._pool, "proxy", None)
        return StreamTerms(
            server=self.server,
            headers=tuple(self._build_headers(None, "*/*").items()),
            ssl_context=options.get("ssl_context"),
            server_name=options.get("server_hostname"),
            proxy=proxy.url if proxy else None,
            proxy_headers=dict(getattr(self._pool, "proxy_headers", None) or {}),
        )

    def _build_headers(self, content_type: str | None, accept: str) -> dict[str, str]:
        """Build the headers of a call; the token, where there is one, may be a fresh one each time."""
        headers = {"Accept": accept, "User-Agent": "kinky"}
        headers |= {"Content-Type": content_type} if content_type else {}
        for setting in self._configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                headers[setting["key"]] = setting["value"]
        return headers


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
    """Open the host cluster's API as the operator's kubeconfig says; sends nothing yet."""
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, new_client_from_config

    configuration = Configuration()
    try:
        with _OPENING:
            client = new_client_from_config(
                config_file=access.kubeconfig,
                context=access.context,
                persist_config=False,
                client_configuration=configuration,
            )
            _hold_credentials_in_memory(client)
    except HostError:
        raise
    except ConfigException as error:
        raise HostError(
            f"host cluster: the kubeconfig {access.kubeconfig} cannot be used: {error}",
            hint="choose another with host.kubeconfig and host.context in the stack file",
        ) from None
    except Exception as error:  # the loader fails in many ways on a damaged file, YAML's own included
        raise HostError(
            f"host cluster: the kubeconfig {access.kubeconfig} cannot be read: {type(error).__name__}",
            hint="check it with: kubectl config view",
        ) from None
    if not configuration.verify_ssl:
        raise HostError(
            f"host cluster: the kubeconfig {access.kubeconfig} does not verify the server (insecure-skip-tls-verify)",
            hint="put the host's CA into it as certificate-authority-data",
        )
    return Connection(client, target="host cluster")


def _hold_credentials_in_memory(client: "ApiClient") -> None:
    """Read the client's key and certificates once, and remove the files that the package wrote them to.

    For a kubeconfig with keys inside, the package writes the operator's key to the folder for temporary
    files and removes it when the process exits, which a killed one does not.
    """
    from kubernetes.config import kube_config
    from urllib3.util.ssl_ import create_urllib3_context

    pool_options = client.rest_client.pool_manager.connection_pool_kw
    authorities, certificate, key = (pool_options.pop(name, None) for name in ("ca_certs", "cert_file", "key_file"))
    context = create_urllib3_context()
    try:
        if authorities:
            context.load_verify_locations(authorities)
        else:
            context.load_default_certs()
        if certificate:
            context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise HostError(
            f"host cluster: the kubeconfig's certificates cannot be used: {type(error).__name__}",
            hint="check it with: kubectl config view",
        ) from None
    finally:
        kube_config._cleanup_temp_files()
    pool_options["ssl_context"] = context


def open_inner(access: InnerAccess) -> Connection:
    """Open the inner cluster's API through its published path, verified against our own CA."""
    from kubernetes.client import ApiClient, Configuration

    configuration = Configuration(host=access.server)
    configuration.ssl_ca_cert = str(access.ca_file)
    configuration.cert_file = str(access.credential_file)
    configuration.key_file = str(access.credential_file)
    configuration.tls_server_name = access.tls_server_name
    # A proxy from the environment is for the outside, the published path is not.
    configuration.proxy = None
    return Connection(ApiClient(configuration=configuration), target=f'inner cluster "{access.cluster}"')
