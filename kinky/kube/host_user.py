"""The user of a host's kubeconfig: credentials in the order of client-go, and the user that the caller acts as."""

import base64
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kinky.kube.section import Section
from kinky.kube.tls import check_certificate

EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
OLD_EXEC_VERSION = EXEC_VERSIONS[1]
"""The version in which interactiveMode may be absent."""
UNFIT_TOKEN = "holds a space, a line break or a character that is not ASCII"  # noqa: S105 - a reason, not a token
_TOKEN = re.compile(r"[\x21-\x7e]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LEGAL_IN_NAME = re.compile(r"[A-Za-z0-9!#$&'*+.^_`|~-]")


@dataclass(frozen=True, kw_only=True)
class ExecPlugin:
    """A program that prints a credential."""

    place: str
    path: str
    """Path of the kubeconfig, for messages."""
    api_version: str
    command: str
    arguments: tuple[str, ...] = field(repr=False)
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    cluster: str
    """JSON of the cluster, for a program that asks for it; or empty."""
    install_hint: str


@dataclass(frozen=True, kw_only=True)
class HostUser:
    """How the caller proves the identity."""

    token: str = field(default="", repr=False)
    token_file: Path | None = None
    """Read again for each call; it has precedence over `token`."""
    basic: str = field(default="", repr=False)
    """user:password."""
    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)
    exec_plugin: ExecPlugin | None = None
    impersonation: tuple[tuple[str, str], ...] = ()
    """Headers by which the caller acts as another user."""


def is_token(text: str) -> bool:
    """Tell whether a token can be in a header."""
    return _TOKEN.fullmatch(text) is not None


def read_user(user: Section, *, cluster: Mapping[str, Any], path: str) -> HostUser | None:
    """Read a user; None when it cannot be used, with the reason in the section's problems.

    Args:
        user: The section.
        cluster: The cluster, in the form for a program that prints a credential.
        path: Path of the kubeconfig, for messages.
    """
    _check_methods(user)
    token_file = _read_token_file(user)
    if user.has("token") and not is_token(user.text("token")):
        user.refuse("token", UNFIT_TOKEN)
    for key in ("as", "as-uid"):
        _check_header(user, key, [user.text(key)])
    certificate, private_key = _read_certificate(user)
    plugin = _read_plugin(user.below("exec"), cluster, path) if user.values.get("exec") is not None else None
    impersonation = tuple(_read_impersonation(user))
    if user.problems:
        return None
    # client-go runs the program only for a user without another credential.
    is_static = token_file is not None or user.has("token", "username") or bool(certificate)
    return HostUser(
        token=user.text("token"),
        token_file=token_file,
        basic=f"{user.text('username')}:{user.text('password')}" if user.has("username") else "",
        certificate=certificate,
        key=private_key,
        exec_plugin=None if is_static else plugin,
        impersonation=impersonation,
    )


def _check_methods(user: Section) -> None:
    """Check that there is one credential that all readers choose."""
    if user.values.get("auth-provider") is not None:
        user.refuse("auth-provider", "is not supported; use an exec section, such as that of kubelogin")
    elif user.values.get("exec") is None and not user.has(
        "token", "tokenFile", "username", "password", "client-certificate", "client-certificate-data"
    ):
        user.problems.append(f"{user.place}: holds no credential, so you would act as system:anonymous")
    if user.has("username", "password") and user.has("token", "tokenFile"):
        user.refuse("username", "is there together with a token, and kubectl refuses that")
    if user.has("password") and not user.has("username"):
        user.refuse("password", "has no username beside it, so you would act as system:anonymous")


def _read_token_file(user: Section) -> Path | None:
    """Read the path; a file without a token is a problem only if there is no other token."""
    path = user.path("tokenFile")
    if path is None or user.has("token"):
        return path
    try:
        token = path.read_text().strip()
    except OSError as error:
        user.refuse("tokenFile", f"cannot read {path}: {error.strerror}")
        return path
    except ValueError:
        user.refuse("tokenFile", f"{path} is not text")
        return path
    if not is_token(token):
        user.refuse("tokenFile", f"{path} {UNFIT_TOKEN if token else 'is empty'}")
    return path


def _check_header(user: Section, key: str, values: list[str]) -> None:
    if any(_CONTROL.search(value) for value in values):
        user.refuse(key, "holds a line break or another control character")


def _read_certificate(user: Section) -> tuple[bytes, bytes]:
    """Read certificate and key; client-go ignores a key without a certificate."""
    if not user.has("client-certificate", "client-certificate-data"):
        return b"", b""
    if not user.has("client-key", "client-key-data"):
        user.refuse("client-certificate", "has no client-key beside it")
        return b"", b""
    certificate, key = user.content("client-certificate"), user.content("client-key")
    if certificate is None or key is None:
        return b"", b""
    try:
        check_certificate(certificate, key)
    except ssl.SSLError:
        is_locked = b"ENCRYPTED" in key
        why = "is encrypted with a password" if is_locked else "does not fit client-certificate, or is not PEM"
        user.refuse("client-key", why)
    return certificate, key


def _read_impersonation(user: Section) -> Iterator[tuple[str, str]]:
    """Yield the headers; the API takes groups, uid and extra values only together with a user."""
    extra = {name: user.below("as-user-extra").texts(name) for name in user.below("as-user-extra").values}
    _check_header(user, "as-groups", user.texts("as-groups"))
    _check_header(user, "as-user-extra", [value for values in extra.values() for value in values])
    if not user.has("as"):
        for key in ("as-uid", "as-groups", "as-user-extra"):
            if user.has(key):
                user.refuse(key, "has no user beside it in the key `as`")
        return
    yield "Impersonate-User", user.text("as")
    if user.has("as-uid"):
        yield "Impersonate-Uid", user.text("as-uid")
    for group in user.texts("as-groups"):
        yield "Impersonate-Group", group
    for name, values in extra.items():
        for value in values:
            yield f"Impersonate-Extra-{_escape(name)}", value


def _escape(name: str) -> str:
    """Escape the bytes that a header's name cannot hold, as client-go does; the API reverses it."""
    return "".join(
        char if _LEGAL_IN_NAME.fullmatch(char) else "".join(f"%{byte:02X}" for byte in char.encode()) for char in name
    )


def _read_plugin(section: Section, cluster: Mapping[str, Any], path: str) -> ExecPlugin:
    """Read an exec section; client-go checks it also where another credential is used."""
    command, version = section.text("command"), section.text("apiVersion")
    mode = section.text("interactiveMode") or ("IfAvailable" if version == OLD_EXEC_VERSION else "")
    if not command:
        section.refuse("command", "is empty")
    elif "/" in command:
        section.path("command")
    if version not in EXEC_VERSIONS:
        section.refuse("apiVersion", f'is "{version}"; supported are {" and ".join(EXEC_VERSIONS)}')
    elif mode == "Always":
        section.refuse("interactiveMode", "is Always, but Pulumi's provider has no terminal")
    elif mode not in ("Never", "IfAvailable"):
        section.refuse("interactiveMode", f'is "{mode}"; it must be Never or IfAvailable')
    variables = [(str((item or {}).get("name") or ""), str((item or {}).get("value") or "")) for item in _list(section)]
    if not all(name for name, _ in variables):
        section.refuse("env", "holds a variable without a name")
    if any("=" in name or "\0" in name + value for name, value in variables):
        section.refuse("env", "holds a variable that cannot be passed to a program")
    return ExecPlugin(
        place=section.place,
        path=path,
        api_version=version,
        command=command,
        arguments=tuple(section.texts("args")),
        environment=tuple(variables),
        cluster=_to_json(cluster) if section.flag("provideClusterInfo") else "",
        install_hint=_CONTROL.sub(" ", section.text("installHint")).strip(),
    )


def _list(section: Section) -> list[Any]:
    return list(section.values.get("env") or ())


def _to_json(cluster: Mapping[str, Any]) -> str:
    """Render the cluster as JSON, its certificates in base64."""
    return json.dumps(cluster, default=lambda data: base64.b64encode(data).decode(), sort_keys=True)
