"""Credentials that a program prints for the host's API; it runs again when they expire, as in client-go."""

import json
import shutil
import signal
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kinky import process
from kinky.errors import HostError
from kinky.kube.host_user import UNFIT_TOKEN, ExecPlugin, is_token
from kinky.kube.kubeconfig_shape import parse_yaml
from kinky.kube.tls import check_certificate

LIMIT_SECONDS = 120.0
"""A program may wait for a login in a browser."""
LONGEST_LINE = 200
_SOURCES: dict["ExecPlugin", "ExecSource"] = {}
_SOURCES_LOCK = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class ExecCredential:
    """A credential that a program printed."""

    token: str = field(repr=False)
    certificate: bytes
    key: bytes = field(repr=False)
    expires: datetime | None

    @property
    def is_expired(self) -> bool:
        """Tell whether it has expired."""
        return self.expires is not None and datetime.now(UTC) > self.expires


class ExecSource:
    """One program, and the credential that it printed last; threads share it."""

    def __init__(self, plugin: ExecPlugin) -> None:
        """Do not run it yet."""
        self._plugin = plugin
        self._held: ExecCredential | None = None
        self._lock = threading.Lock()

    def fetch(self) -> ExecCredential:
        """Return a credential that is valid now.

        Raises:
            HostError: The program is missing, failed, or printed no credential.
        """
        with self._lock:
            if self._held is None or self._held.is_expired:
                self._held = _parse(self._plugin, _run(self._plugin))
            return self._held

    def drop(self, refused: ExecCredential) -> None:
        """Forget a credential that the API refused, unless a new one has replaced it already."""
        with self._lock:
            if self._held is refused:
                self._held = None


def find_source(plugin: ExecPlugin) -> ExecSource:
    """Return the only source for a program: a process opens the API often, and a login may take seconds or a click."""
    with _SOURCES_LOCK:
        return _SOURCES.setdefault(plugin, ExecSource(plugin))


def _run(plugin: ExecPlugin) -> bytes:
    """Run the program and return its standard output (secret)."""
    program = shutil.which(plugin.command)
    if program is None:
        raise HostError(
            f"host cluster: the kubeconfig's program for the login is missing: {plugin.command}",
            details=[f"named by {plugin.place}.command in {plugin.path}"],
            hint=plugin.install_hint or "install it, or choose another user in the kubeconfig",
        )
    spec: dict[str, Any] = {"interactive": False}
    spec |= {"cluster": json.loads(plugin.cluster)} if plugin.cluster else {}
    asked = {"kind": "ExecCredential", "apiVersion": plugin.api_version, "spec": spec}
    variables = {**dict(plugin.environment), "KUBERNETES_EXEC_INFO": json.dumps(asked)}
    try:
        ended = process.ask([program, *plugin.arguments], env=variables, timeout_seconds=LIMIT_SECONDS)
    except (OSError, ValueError) as error:
        raise _fail(plugin, getattr(error, "strerror", None) or "it cannot be started") from None
    if ended.returncode == -signal.SIGKILL:
        raise _fail(plugin, f"it was killed, or took longer than {LIMIT_SECONDS:.0f} s", ended.stderr)
    if ended.returncode != 0:
        sign = "exit code" if ended.returncode > 0 else "signal"
        raise _fail(plugin, f"{sign} {abs(ended.returncode)}", ended.stderr)
    return bytes(ended.stdout)


def _parse(plugin: ExecPlugin, output: bytes) -> ExecCredential:
    """Parse the program's output; no message quotes it."""
    try:
        answer = parse_yaml(output)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
        raise _fail(plugin, "it printed no ExecCredential")
    if answer.get("apiVersion") != plugin.api_version:
        raise _fail(plugin, f"it printed another version than {plugin.api_version}")
    status = answer.get("status")
    if not isinstance(status, Mapping) or not all(isinstance(value, str) for value in status.values()):
        raise _fail(plugin, "it printed no status with texts")
    token, certificate, key = (status.get(name, "") for name in ("token", "clientCertificateData", "clientKeyData"))
    if not token and not certificate and not key:
        raise _fail(plugin, "it printed neither a token nor a certificate with its key")
    if token and not is_token(token):
        raise _fail(plugin, f"its token {UNFIT_TOKEN}")
    if bool(certificate) != bool(key):
        raise _fail(plugin, "it printed only one of certificate and key")
    try:
        check_certificate(certificate.encode(), key.encode())
        expires = _parse_time(status.get("expirationTimestamp", ""))
    except (ssl.SSLError, ValueError) as error:
        broken = "certificate and key do not fit" if isinstance(error, ssl.SSLError) else "its end is not a time"
        raise _fail(plugin, broken) from None
    return ExecCredential(token=token, certificate=certificate.encode(), key=key.encode(), expires=expires)


def _parse_time(text: str) -> datetime | None:
    if not text:
        return None
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _fail(plugin: ExecPlugin, reason: str, stderr: bytes = b"") -> HostError:
    """Build the error: the reason and the last line of standard error, never the arguments or standard output."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    told = "".join(char if char.isprintable() else " " for char in lines[-1][-LONGEST_LINE:]) if lines else ""
    return HostError(
        f"host cluster: the kubeconfig's program for the login failed: {plugin.command}: {reason}",
        details=[
            *([f"its last line: {told}"] if told else []),
            f"named by {plugin.place}.command in {plugin.path}",
        ],
        hint=f"log in again with its own command, then try: kubectl --kubeconfig {plugin.path} auth whoami",
    )
