"""The host's kubeconfig, read by client-go's rules, so that kinky, kubectl and Pulumi's provider act as one identity.

A key that one of the three would read differently is refused by its name, before anything is sent.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kinky.errors import HostError, KinkyError
from kinky.kube.access import HostAccess
from kinky.kube.host_user import HostUser, read_user
from kinky.kube.kubeconfig_shape import find_faults, parse_yaml
from kinky.kube.section import Section
from kinky.kube.tls import build_context
from kinky.proxies import Proxy, find_proxy, parse_proxy

HINT = "correct it there, or choose another one with host.kubeconfig and host.context in the stack file"
EXEC_EXTENSION = "client.authentication.k8s.io/exec"
_KINDS = {"contexts": "context", "clusters": "cluster", "users": "user"}


@dataclass(frozen=True, kw_only=True)
class HostKubeconfig:
    """One context of a kubeconfig: the server, the way to it, and the caller."""

    path: str
    context: str
    server: str
    """URL without a slash at its end; it holds no credential."""
    tls_server_name: str
    """The name in the server's certificate, if the URL has another; or empty."""
    cas: bytes
    """Certificates of the server's CAs (PEM); empty for the CAs that this machine trusts."""
    proxy: Proxy | None
    user: HostUser = field(repr=False)


def read_host_kubeconfig(access: HostAccess) -> HostKubeconfig:
    """Read and check the chosen context.

    Raises:
        HostError: The file cannot be used; the details name every reason with its place in the file.
        KinkyError: A variable names a proxy that cannot be used.
    """
    problems: list[str] = []
    document = _load(access.kubeconfig)
    contexts, clusters, users = (_index(document, plural, problems) for plural in _KINDS)
    name = access.context or str(document.get("current-context") or "")
    chosen = contexts.get(name)
    if chosen is None:
        known = ", ".join(sorted(contexts)) or "none"
        asked = f'contexts: there is no context "{name}"' if name else "current-context: it is empty"
        problems.append(f"{asked}; contexts in the file: {known}")
        raise _refuse(access.kubeconfig, problems)
    cluster = _follow(chosen, "cluster", clusters, problems)
    user = _follow(chosen, "user", users, problems)
    found = _read(access.kubeconfig, name, cluster, user, problems) if cluster and user else None
    if problems or found is None:
        raise _refuse(access.kubeconfig, problems)
    return found if found.proxy else replace(found, proxy=find_proxy(found.server))


def _load(path: str) -> Mapping[str, Any]:
    """Load the file and check the type of each key in it."""
    try:
        document = parse_yaml(Path(path).read_bytes())
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from None
    except ValueError as error:
        raise _unreadable(path, str(error)) from None
    faults = ["the file is empty"] if document is None else list(find_faults(document))
    if not faults:
        faults += [
            f"{key}: must be {wanted}"
            for key, wanted in (("apiVersion", "v1"), ("kind", "Config"))
            if document.get(key) not in (None, "", wanted)
        ]
    if faults:
        raise _refuse(path, faults)
    return dict(document)


def _index(document: Mapping[str, Any], plural: str, problems: list[str]) -> dict[str, Section]:
    """Return the entries of a list by name; client-go refuses a file with one name twice."""
    entries: dict[str, Section] = {}
    singular = _KINDS[plural]
    for entry in document.get(plural) or ():
        name = str((entry or {}).get("name") or "")
        if name in entries:
            problems.append(f'{plural}: the name "{name}" is there twice')
            continue
        values = (entry or {}).get(singular) or {}
        entries[name] = Section(values=values, place=f"{plural}[{name}].{singular}", problems=problems)
    return entries


def _follow(context: Section, key: str, entries: Mapping[str, Section], problems: list[str]) -> Section | None:
    """Return the entry that a context names."""
    name = context.text(key)
    if name in entries:
        return entries[name]
    missing = f'there is no {key} "{name}" in {key}s' if name else f"it is empty, so no {key} is chosen"
    problems.append(f"{context.place}.{key}: {missing}")
    return None


def _read(path: str, context: str, cluster: Section, user: Section, problems: list[str]) -> HostKubeconfig | None:
    """Read server and caller; their faults are in `problems` afterwards."""
    server = _read_server(cluster)
    if cluster.flag("insecure-skip-tls-verify"):
        cluster.refuse("insecure-skip-tls-verify", "does not verify the server (insecure-skip-tls-verify)")
    cas = cluster.content("certificate-authority")
    if cas is not None and cluster.has("certificate-authority", "certificate-authority-data"):
        _check_cas(cluster, cas)
    proxy = _read_proxy(cluster)
    described = _describe_cluster(cluster, server, cas or b"")
    caller = read_user(user, cluster=described, path=path)
    if problems or caller is None:
        return None
    return HostKubeconfig(
        path=path,
        context=context,
        server=server,
        tls_server_name=cluster.text("tls-server-name"),
        cas=cas or b"",
        proxy=proxy,
        user=caller,
    )


def _read_server(cluster: Section) -> str:
    """Read the URL; empty when it cannot be used."""
    try:
        parts = urlsplit(cluster.text("server"))
        port = parts.port
    except ValueError:
        cluster.refuse("server", "is not a URL")
        return ""
    # Messages contain the URL, and must not contain a password.
    fault = next(
        (
            reason
            for applies, reason in (
                (not cluster.text("server"), "is empty"),
                ("@" in parts.netloc, "holds a user or a password"),
                (parts.scheme == "http", "is http: tokens and keys would cross the network unencrypted"),
                (parts.scheme != "https", "does not begin with https://, so kubectl would use http"),
                (not parts.hostname or port == 0, "names no host"),
                (bool(parts.query or parts.fragment), "holds more than host, port and path"),
            )
            if applies
        ),
        "",
    )
    if fault:
        cluster.refuse("server", fault)
        return ""
    return f"https://{parts.netloc}{parts.path.rstrip('/')}"


def _check_cas(cluster: Section, cas: bytes) -> None:
    try:
        if not cas:
            raise ssl.SSLError
        build_context(cas)
    except ssl.SSLError:
        data = "certificate-authority-data"
        cluster.refuse(data if cluster.has(data) else "certificate-authority", "holds no certificate")


def _read_proxy(cluster: Section) -> Proxy | None:
    """Read the cluster's own proxy; it has precedence over the environment, and applies to loopback addresses too."""
    named = cluster.text("proxy-url")
    scheme, separator, _ = named.partition("://")
    if not named:
        return None
    if not separator:
        cluster.refuse("proxy-url", "has no scheme; write http://HOST:PORT")
        return None
    if scheme.startswith("socks5"):
        cluster.refuse("proxy-url", "is a socks5 proxy, which is not supported; use an http or https proxy")
        return None
    try:
        return parse_proxy(named, source=f"{cluster.place}.proxy-url")
    except KinkyError as error:
        cluster.problems.append(f"{error.message}; {error.hint}")
        return None


def _describe_cluster(cluster: Section, server: str, cas: bytes) -> dict[str, Any]:
    """Describe the cluster for the program of an exec section, if it asks for that."""
    extensions: Sequence[Mapping[str, Any]] = cluster.values.get("extensions") or ()
    own = [entry.get("extension") for entry in extensions if entry and entry.get("name") == EXEC_EXTENSION]
    described = {
        "server": server,
        "tls-server-name": cluster.text("tls-server-name"),
        "certificate-authority-data": cas,
        "proxy-url": cluster.text("proxy-url"),
        "disable-compression": cluster.flag("disable-compression"),
        "config": own[0] if own else None,
    }
    return {key: value for key, value in described.items() if value}


def _unreadable(path: str, reason: str) -> HostError:
    return HostError(
        f"host cluster: the kubeconfig {path} cannot be read: {reason}", hint="check it with: kubectl config view"
    )


def _refuse(path: str, problems: Sequence[str]) -> HostError:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return HostError(f"host cluster: the kubeconfig {path} cannot be used: {count}", details=problems, hint=HINT)
