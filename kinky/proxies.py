"""Which proxy leads to a URL: the environment read by Go's rules, as kubectl and Pulumi's Kubernetes provider read it.

Go never uses a proxy for this machine itself. Python's libraries and gRPC do, so `exempt_loopback` sets it for them.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from kinky.errors import KinkyError

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
NO_PROXY: Final = ("NO_PROXY", "no_proxy")
GRPC_NO_PROXY: Final = "no_grpc_proxy"
"""If it is set, gRPC does not read no_proxy."""
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """One proxy, and the setting that named it."""

    source: str
    """The variable, or the place in the kubeconfig."""
    scheme: str
    host: str
    port: int
    login: str = field(default="", repr=False)
    """user:password (secret); empty for none."""

    @property
    def url(self) -> str:
        """URL without the login."""
        return f"{self.scheme}://{self}"

    @property
    def full_url(self) -> str:
        """URL with the login as it was given (secret)."""
        return f"{self.scheme}://{self.login}@{self}" if self.login else self.url

    @property
    def basic_login(self) -> str:
        """The login in the header's form, without the escapes of a URL (secret)."""
        return unquote(self.login)

    def __str__(self) -> str:
        """Return host and port; a message may show nothing else."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def find_proxy(url: str, *, environ: Mapping[str, str] = os.environ) -> Proxy | None:
    """Find the proxy that leads to a URL; None for a direct connection.

    Raises:
        KinkyError: The variable holds no usable proxy, or its two spellings disagree.
    """
    target = urlsplit(url)
    host, port = target.hostname or "", target.port or _PORTS.get(target.scheme, 0)
    if is_loopback(host) or _is_exempt(host, port, _list_exempt(environ)):
        return None
    upper = f"{target.scheme}_proxy".upper()
    set_ones = {name: environ[name] for name in (upper, upper.lower()) if environ.get(name)}
    if not set_ones:
        return None
    if len(set(set_ones.values())) > 1:
        raise KinkyError(
            f"{upper} and {upper.lower()} name different proxies, and programs disagree about which one counts",
            hint=f"unset one of them, or add {host} to NO_PROXY",
        )
    source, value = next(iter(set_ones.items()))
    return parse_proxy(value, source=source)


def parse_proxy(value: str, *, source: str) -> Proxy:
    """Parse a proxy as Go does: without a scheme it is an http proxy.

    Raises:
        KinkyError: It is not an http or https proxy; the text leaves out the value, which may hold a password.
    """
    try:
        parts = urlsplit(value)
        if not parts.scheme or not parts.netloc:
            parts = urlsplit(f"http://{value}")
        return _build(parts, source)
    except ValueError as error:
        raise KinkyError(
            f"{source} holds no usable proxy: {error}", hint="write it as http://HOST:PORT, or HOST:PORT"
        ) from None


def exempt_loopback(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that exclude this machine itself from every proxy; existing entries stay.

    Both spellings get the same value, because programs read one or the other.
    """
    entries = ",".join(dict.fromkeys([*_list_exempt(environ), *LOOPBACK]))
    exempt = dict.fromkeys(NO_PROXY, entries)
    if environ.get(GRPC_NO_PROXY):
        own = _split(environ[GRPC_NO_PROXY])
        exempt[GRPC_NO_PROXY] = ",".join(dict.fromkeys([*own, *LOOPBACK]))
    return exempt


def is_loopback(host: str) -> bool:
    """Tell whether a URL's host is this machine itself."""
    address = _parse_address(host)
    if address is None:
        return host == "localhost"
    # An IPv4 address may be written as an IPv6 one.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _build(parts: SplitResult, source: str) -> Proxy:
    """Build a proxy; raises ValueError with a reason that quotes no part of a login."""
    if parts.scheme not in _PORTS:
        raise ValueError(f"the scheme {parts.scheme} is not supported, only http and https")
    login, _, place = parts.netloc.rpartition("@")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("its port is not a number from 0 to 65535") from None
    if not host or set(place) & set(" \t\r\n") or host in _PORTS:
        raise ValueError("it names no host")
    return Proxy(source=source, scheme=parts.scheme, host=host, port=port or _PORTS[parts.scheme], login=login)


def _list_exempt(environ: Mapping[str, str]) -> list[str]:
    """List the entries of both spellings."""
    return list(dict.fromkeys(entry for name in NO_PROXY for entry in _split(environ.get(name, ""))))


def _split(value: str) -> Iterator[str]:
    yield from (entry.strip() for entry in value.split(",") if entry.strip())


def _is_exempt(host: str, port: int, entries: list[str]) -> bool:
    return any(_matches(host.lower(), port, entry.lower()) for entry in entries)


def _matches(host: str, port: int, entry: str) -> bool:
    """Tell whether an entry of NO_PROXY covers a host: *, a network, an address or a domain; the last two with a port.

    A domain covers the hosts below it, and itself unless it begins with a dot.
    """
    if entry == "*":
        return True
    address = _parse_address(host)
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, wanted_port = _split_port(entry)
    if wanted_port not in ("", str(port)):
        return False
    other = _parse_address(name)
    if address is not None or other is not None:
        return address == other
    name = name.removeprefix("*")
    return bool(name) and (host == name or host.endswith(name if name.startswith(".") else f".{name}"))


def _split_port(entry: str) -> tuple[str, str]:
    """Split an entry into host and port; an IPv6 address has a port only after brackets."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    name, colon, port = entry.rpartition(":")
    return (name, port) if colon and ":" not in name else (entry, "")


def _parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def describe_way(proxy: Proxy | None) -> str:
    """Return the end of a message about the proxy that was used; empty for a direct connection."""
    return f", through the proxy {proxy} of {proxy.source}" if proxy else ""
