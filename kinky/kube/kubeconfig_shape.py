"""The shape of a kubeconfig: YAML as client-go takes it, and the type of each key that client-go knows.

client-go refuses the whole file for one key of another type, whichever context is in use.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

TEXT: Final = "text"
FLAG: Final = "true or false"
DATA: Final = "base64 text"

Shape = str | Mapping[str, Any] | list[Any] | tuple[Any]
"""A type by its name, a mapping by its keys, a list by one item, a mapping with free keys by a tuple of one value."""

CLUSTER: Final = {
    "server": TEXT,
    "tls-server-name": TEXT,
    "insecure-skip-tls-verify": FLAG,
    "certificate-authority": TEXT,
    "certificate-authority-data": DATA,
    "proxy-url": TEXT,
    "disable-compression": FLAG,
    "extensions": [{"name": TEXT}],
}
EXEC: Final = {
    "command": TEXT,
    "args": [TEXT],
    "env": [{"name": TEXT, "value": TEXT}],
    "apiVersion": TEXT,
    "installHint": TEXT,
    "provideClusterInfo": FLAG,
    "interactiveMode": TEXT,
}
USER: Final = {
    "client-certificate": TEXT,
    "client-certificate-data": DATA,
    "client-key": TEXT,
    "client-key-data": DATA,
    "token": TEXT,
    "tokenFile": TEXT,
    "as": TEXT,
    "as-uid": TEXT,
    "as-groups": [TEXT],
    "as-user-extra": ([TEXT],),
    "username": TEXT,
    "password": TEXT,
    "auth-provider": {"name": TEXT, "config": (TEXT,)},
    "exec": EXEC,
}
FILE: Final = {
    "apiVersion": TEXT,
    "kind": TEXT,
    "current-context": TEXT,
    "clusters": [{"name": TEXT, "cluster": CLUSTER}],
    "users": [{"name": TEXT, "user": USER}],
    "contexts": [{"name": TEXT, "context": {"cluster": TEXT, "user": TEXT, "namespace": TEXT}}],
}


class _Loader(yaml.SafeLoader):
    """YAML without dates: for client-go they are texts."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_yaml(content: bytes | str) -> Any:
    """Parse the first document, as client-go does; None for an empty file.

    Raises:
        ValueError: It is not YAML; the text names the line and quotes nothing.
    """
    try:
        return next(iter(yaml.load_all(content, Loader=_Loader)), None)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ValueError(f"line {line} is not YAML") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ValueError("it is not YAML") from None


def decode_data(value: str) -> bytes:
    """Decode base64 as Go does, which ignores line breaks; raises ValueError."""
    try:
        return base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except binascii.Error:
        raise ValueError("is not base64") from None


def find_faults(value: Any, shape: Shape = FILE, *, place: str = "") -> Iterator[str]:
    """Yield where a value is not of this shape; an absent value fits every shape."""
    if value is None:
        return
    if isinstance(shape, str):
        fault = _find_fault(value, shape)
        if fault:
            yield f"{place}: {fault}"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{place}: must be a list"
            return
        for index, item in enumerate(value):
            name = item.get("name") if isinstance(item, dict) else None
            yield from find_faults(item, shape[0], place=f"{place}[{name if isinstance(name, str) else index}]")
    elif not isinstance(value, dict):
        yield f"{place or 'the file'}: must be a mapping"
    else:
        known: Mapping[str, Any] = dict.fromkeys(value, shape[0]) if isinstance(shape, tuple) else shape
        for key, inner in known.items():
            yield from find_faults(value.get(key), inner, place=f"{place}.{key}".removeprefix("."))


def _find_fault(value: Any, kind: str) -> str:
    """Return why a value is not of a type, without the value, which may be a secret; empty if it is."""
    if kind == FLAG:
        return "" if isinstance(value, bool) else "must be true or false"
    if not isinstance(value, str):
        return "must be text; put it in quotes"
    if kind == DATA:
        try:
            decode_data(value)
        except ValueError as error:
            return str(error)
    return ""
