"""One question over one connection, with a limit for all of it, and a distinct reason for each way to fail.

A library for HTTP hides what a status needs: which address answered, why a certificate was refused, whether a server
is silent or slow. So this is a socket, TLS and one HTTP/1.0 request.
"""

from __future__ import annotations

import errno
import io
import socket
import ssl
import time
from dataclasses import dataclass
from http.client import HTTPException, parse_headers
from typing import Final

LARGEST: Final = 262_144
_NAMES: Final = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
_TLS_REASONS: Final = {
    9: ("not-yet-valid", "its certificate is not valid yet"),
    10: ("expired", "its certificate has expired"),
    62: ("wrong-name", "its certificate is for another name"),
    64: ("wrong-name", "its certificate is for another name"),
}
"""OpenSSL's numbers (X509_V_ERR_*) with our reason and words; every other number is a CA that is not ours."""
_WRONG_CA: Final = ("wrong-ca", "wrong CA: its certificate is not of this cluster's CA")
_REASONS: Final = {
    errno.ECONNREFUSED: ("refused", "connection refused"),
    errno.ECONNRESET: ("reset", "connection reset"),
    errno.EPIPE: ("reset", "connection reset"),
    errno.ENETUNREACH: ("no-route", "no route to it"),
    errno.EHOSTUNREACH: ("no-route", "no route to it"),
}


class WireError(Exception):
    """The question was not answered; `reason` is a short code."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep both."""
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where to ask."""

    address: str
    port: int
    host: str
    """Name for the header Host."""
    context: ssl.SSLContext | None = None
    """How to verify the server; None asks without TLS."""
    server_name: str = ""
    """Name in the certificate."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of a server."""

    status: int
    body: bytes
    certificate: bytes
    """The served certificate (DER); empty without TLS."""


def resolve(host: str) -> list[tuple[str, str]]:
    """Return each address of a name with its family; raises WireError for a name without addresses."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        raise WireError("unknown-name", f"the name {host} has no address") from None
    return list(dict.fromkeys((str(item[4][0]), _NAMES[item[0]]) for item in found if item[0] in _NAMES))


def ask(place: Place, path: str, *, seconds: float, method: str = "GET", body: bytes = b"") -> Answer:
    """Ask one question; `seconds` is the limit for all of it, connection and last byte included.

    Raises:
        WireError: There was no whole answer in time, or another server answered.
    """
    end = time.monotonic() + seconds
    try:
        with socket.create_connection((place.address, place.port), timeout=seconds) as plain:
            stream = _wrap(plain, place)
            try:
                certificate = stream.getpeercert(binary_form=True) if isinstance(stream, ssl.SSLSocket) else None
                stream.sendall(_build_request(place, path, method=method, body=body))
                return _parse(_read_all(stream, end, seconds), certificate or b"")
            finally:
                stream.close()
    except ssl.SSLCertVerificationError as error:
        raise WireError(*_TLS_REASONS.get(error.verify_code, _WRONG_CA)) from None
    except ssl.SSLError:
        raise WireError("no-tls", "what answers speaks no TLS, or breaks it off") from None
    except TimeoutError:
        raise WireError("silent", f"it accepts nothing or answers nothing for {seconds:g} s") from None
    except OSError as error:
        fallback = ("no-answer", f"no connection: {errno.errorcode.get(error.errno or 0, type(error).__name__)}")
        raise WireError(*_REASONS.get(error.errno or 0, fallback)) from None


def _wrap(plain: socket.socket, place: Place) -> socket.socket:
    if place.context is None:
        return plain
    return place.context.wrap_socket(plain, server_hostname=place.server_name)


def _build_request(place: Place, path: str, *, method: str, body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.0", f"Host: {place.host}", "User-Agent: kinky-status", "Accept: */*"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    return ("\r\n".join([*lines, "", ""])).encode("ascii", "replace") + body


def _read_all(stream: socket.socket, end: float, seconds: float) -> bytes:
    """Read until the server closes or has sent what it announced; a slow drip ends at the limit."""
    content = b""
    while len(content) < LARGEST:
        left = end - time.monotonic()
        if left <= 0:
            break
        stream.settimeout(left)
        try:
            part = stream.recv(65536)
        except TimeoutError:
            break
        content += part
        if not part or _is_whole(content):
            return content
    if not content:
        raise TimeoutError
    raise WireError("slow", f"it has not answered in full within {seconds:g} s")


def _is_whole(content: bytes) -> bool:
    head, separator, body = content.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n")[1:] if separator else ():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return len(body) >= int(value)
    return False


def _parse(content: bytes, certificate: bytes) -> Answer:
    if not content:
        raise WireError("reset", "it closed the connection without an answer")
    line, _, rest = content.partition(b"\r\n")
    parts = line.split()
    try:
        if not line.startswith(b"HTTP/"):
            raise ValueError
        status = int(parts[1])
        stream = io.BytesIO(rest)
        parse_headers(stream)
    except (ValueError, IndexError, HTTPException):
        raise WireError("no-http", "what answers speaks no HTTP") from None
    return Answer(status=status, body=stream.read(), certificate=certificate)
