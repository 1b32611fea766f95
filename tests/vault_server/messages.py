"""What goes in and comes out: a request after HTTP was taken off, a response before it is put on."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

OPERATIONS = ("create", "read", "update", "delete", "list")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Request:
    """One call: `path` is what follows /v1/, without a slash at either end."""

    operation: str
    path: str
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    token: str = field(default="", repr=False)

    def below(self, prefix: str) -> Request:
        """Return the request as an engine that is mounted at the prefix sees it."""
        return replace(self, path=self.path.removeprefix(prefix).strip("/"))


@dataclass(frozen=True)
class Response:
    """A status and a JSON body; no body with status 204."""

    status: int
    body: Mapping[str, Any] | None = field(default=None, repr=False)


class RefusedError(Exception):
    """A call that is answered with an error; the texts are those of Vault, and hold no value."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.response = Response(status, {"errors": list(errors)})


def denied() -> RefusedError:
    """Return what a token hears that does not exist or may not."""
    return RefusedError(403, "permission denied")


def found(data: Mapping[str, Any] | None, *, status: int = 200, auth: Mapping[str, Any] | None = None) -> Response:
    """Return data or a new token in the envelope that every answer has."""
    envelope = {
        "request_id": str(uuid.uuid4()),
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": data,
        "wrap_info": None,
        "warnings": None,
        "auth": auth,
    }
    return Response(status, envelope)


def done() -> Response:
    """Return the answer to a call that has nothing to tell."""
    return Response(204)


def absent() -> RefusedError:
    """Return the answer to a read or list that finds nothing: errors, but none in particular."""
    return RefusedError(404)


def listing(keys: list[str]) -> Response:
    """Return names in order; a list of nothing is a 404."""
    if not keys:
        raise absent()
    return found({"keys": sorted(keys)})


def parse_seconds(value: object, *, name: str) -> int:
    """Return the seconds of a number, of digits, or of digits with a unit."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    parts = re.fullmatch(r"(\d+)([smhd]?)", str(value or "0"))
    if parts is None:
        raise RefusedError(400, f"error converting input for field {name!r}")
    return int(parts[1]) * _UNITS[parts[2]]


def parse_list(value: object) -> list[str]:
    """Return a list of strings; a string is a list with commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [str(part) for part in value] if isinstance(value, list) else []


def parse_body(content: bytes) -> dict[str, Any]:
    """Return the JSON object of a request; an empty body is an empty object."""
    try:
        body = json.loads(content) if content else {}
    except ValueError:
        raise RefusedError(400, "failed to parse JSON input") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "failed to parse JSON input")
    return body


def format_time(nanoseconds: int | None = None) -> str:
    """Return a moment, or now, as RFC 3339 with nanoseconds in UTC."""
    seconds, rest = divmod(time.time_ns() if nanoseconds is None else nanoseconds, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"
