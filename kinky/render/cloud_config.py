"""Rules for a guest's cloud-config and network-data: the schema of the node image's reader, and no secret.

The node image runs cloud-init with the module `write_files` alone, so it would silently ignore any other key. The
schema here is stricter than cloud-init's own. That schema comes with the Debian package and cannot be part of this
repository. The node image's build leaves a copy, and the checks apply it too when it is given.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jsonschema
import yaml

from kinky.errors import KinkyError

HEADER: Final = "#cloud-config"
SIZE_LIMIT_BYTES: Final = 512 * 1024
"""Half of what a Secret may hold, because user-data and network-data share one."""

CLOUD_CONFIG_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["write_files"],
    "properties": {
        "write_files": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["path", "owner", "permissions", "content"],
                "properties": {
                    "path": {"type": "string", "pattern": r"^/etc/kinky/[a-z][a-z0-9.-]*$"},
                    "owner": {"const": "root:root"},
                    "permissions": {"type": "string", "pattern": "^0[0-7]{3}$"},
                    "content": {"type": "string", "minLength": 1},
                },
            },
        }
    },
}

NETWORK_DATA_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "ethernets"],
    "properties": {
        "version": {"const": 2},
        "ethernets": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^eth[0-9]$"},
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["dhcp4"],
                "properties": {"dhcp4": {"type": "boolean"}},
            },
        },
    },
}

_SECRET_PATTERNS: Final = (
    ("a PEM block", re.compile(r"-----BEGIN [A-Z0-9 ]+-----")),
    ("a JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.")),
    ("a bootstrap token", re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")),
    ("an age key", re.compile(r"\bAGE-SECRET-KEY-1[0-9A-Z]{20,}")),
    (
        "a key with a secret's name and a value",
        re.compile(r"(?i)\b(password|passwd|secret|token)\b\"?\s*[:=]\s*[\"']?[^\s\"'{}]{6,}"),
    ),
)
_BASE64_RUN: Final = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")


@dataclass(frozen=True, kw_only=True)
class CloudInitSchemas:
    """The JSON schemas of the cloud-init that the node image runs."""

    cloud_config: Mapping[str, Any]
    network_data: Mapping[str, Any]
    """Version 2 of the format."""


def check_cloud_config(text: str, *, where: str, upstream: CloudInitSchemas | None = None) -> None:
    """Parse a rendered cloud-config and check it against our schema, cloud-init's if given, and for secrets.

    Raises:
        KinkyError: with `where` and every problem; never with a value.
    """
    if text.splitlines()[:1] != [HEADER]:
        raise KinkyError(f'{where}: the first line is not "{HEADER}"', hint="cloud-init ignores user-data without it")
    document = _parse(text, where)
    problems = _schema_problems(document, CLOUD_CONFIG_SCHEMA)
    if upstream is not None:
        problems += _upstream_problems(document, upstream.cloud_config)
    if not problems:
        written = [entry["path"] for entry in document["write_files"]]
        problems = [f"{path} is written twice" for path in sorted(set(written)) if written.count(path) > 1]
    _refuse(problems, text, where, kind="cloud-config")


def check_network_data(text: str, *, where: str, upstream: CloudInitSchemas | None = None) -> None:
    """Parse rendered network-data and check it as a cloud-config is checked; raises KinkyError."""
    document = _parse(text, where)
    problems = _schema_problems(document, NETWORK_DATA_SCHEMA)
    if upstream is not None:
        problems += _upstream_problems(document, upstream.network_data)
    _refuse(problems, text, where, kind="network-data")


def find_secrets(text: str, *, depth: int = 2) -> tuple[str, ...]:
    """Return what kinds of secret the text seems to hold, with line numbers and without their values.

    Args:
        depth: levels of base64 to look into; base64 is not encryption.
    """
    found = []
    for kind, pattern in _SECRET_PATTERNS:
        found += [f"line {text.count(chr(10), 0, match.start()) + 1}: {kind}" for match in pattern.finditer(text)]
    if depth:
        for match in _BASE64_RUN.finditer(text):
            inner = find_secrets(_decoded(match.group()), depth=depth - 1)
            line = text.count("\n", 0, match.start()) + 1
            found += [f"line {line}: {kind.split(': ', 1)[1]} in base64" for kind in inner]
    return tuple(found)


def _decoded(run: str) -> str:
    try:
        return base64.b64decode(run + "=" * (-len(run) % 4)).decode("utf-8", errors="replace")
    except binascii.Error:
        return ""


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise KinkyError(f"{where}: rendered text is not YAML", details=[str(error)]) from error


def _schema_problems(document: Any, schema: Mapping[str, Any]) -> list[str]:
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [f"{error.json_path}: {_reason(error)}" for error in validator.iter_errors(document)]


def _upstream_problems(document: Any, schema: Mapping[str, Any]) -> list[str]:
    return [f"cloud-init: {problem}" for problem in _schema_problems(document, schema)]


def _reason(error: jsonschema.ValidationError) -> str:
    # Messages of other rules repeat the offending value, which may be a whole file.
    if error.validator in ("additionalProperties", "required"):
        return error.message
    return f"does not meet {error.validator} {error.validator_value!r}"[:200]


def _refuse(problems: list[str], text: str, where: str, *, kind: str) -> None:
    if problems:
        raise KinkyError(
            f"{where}: rendered {kind} is not valid: {len(problems)} problem{'s' if len(problems) > 1 else ''}",
            details=problems,
            hint="the node image reads nothing else: remove it from the template",
        )
    if len(text.encode()) > SIZE_LIMIT_BYTES:
        raise KinkyError(f"{where}: rendered {kind} has {len(text.encode())} bytes, more than {SIZE_LIMIT_BYTES}")
    secrets = find_secrets(text)
    if secrets:
        raise KinkyError(
            f"{where}: rendered {kind} holds a secret",
            details=secrets,
            hint="user-data can be read by everyone who can read the VM: keys travel in the credentials Secret",
        )
