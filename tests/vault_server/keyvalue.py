"""The secrets engine KV, version 2: values with versions below data/, what is known of them below metadata/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.vault_server.messages import (
    RefusedError,
    Request,
    Response,
    absent,
    done,
    format_time,
    found,
    listing,
    parse_seconds,
)

KEPT_VERSIONS = 10
"""How many versions Vault keeps unless told otherwise."""


@dataclass
class Version:
    """One version of a value; `None` data was destroyed."""

    data: Mapping[str, Any] | None = field(repr=False)
    created: str = field(default_factory=format_time)
    deleted: str = ""

    @property
    def destroyed(self) -> bool:
        """Tell whether the data is gone for ever."""
        return self.data is None

    def describe(self) -> dict[str, Any]:
        """Return what is known of the version."""
        return {"created_time": self.created, "deletion_time": self.deleted, "destroyed": self.destroyed}


@dataclass
class Entry:
    """One path: its versions by number and its settings."""

    versions: dict[int, Version] = field(default_factory=dict)
    current: int = 0
    created: str = field(default_factory=format_time)
    updated: str = field(default_factory=format_time)
    max_versions: int = 0
    cas_required: bool = False
    custom_metadata: Mapping[str, str] | None = None

    def describe_version(self, number: int) -> dict[str, Any]:
        """Return what a read or write tells of the version beside its data."""
        return {"version": number, "custom_metadata": self.custom_metadata, **self.versions[number].describe()}


class KeyValue:
    """One mounted engine."""

    kind = "kv"

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.latest: Mapping[str, Any] | None = None
        """The data that was written last, for the fault that answers any key with it."""
        self._max_versions = 0
        self._cas_required = False

    def exists(self, path: str) -> bool | None:
        """Tell whether a write to the path is an update; None where that is no question."""
        area, _, key = path.partition("/")
        return key in self.entries if area in {"data", "metadata"} else None

    def handle(self, request: Request) -> Response:
        """Answer a call below the mount."""
        area, _, key = request.path.partition("/")
        if area == "config" and not key:
            return self._config(request)
        if area == "metadata" and request.operation == "list":
            return self._list(key)
        if not key:
            raise RefusedError(405, "unsupported operation") if area in {"data", "metadata"} else absent()
        handlers = {"data": self._data, "metadata": self._metadata, "delete": self._mark, "undelete": self._mark}
        handlers["destroy"] = self._mark
        if area not in handlers:
            raise RefusedError(404, f"unsupported path: {area}")
        return handlers[area](request, key)

    def _config(self, request: Request) -> Response:
        if request.operation == "read":
            settings = {"max_versions": self._max_versions, "cas_required": self._cas_required}
            return found({**settings, "delete_version_after": "0s"})
        self._max_versions = int(request.data.get("max_versions", self._max_versions))
        self._cas_required = bool(request.data.get("cas_required", self._cas_required))
        return done()

    def _list(self, folder: str) -> Response:
        prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
        below = [key.removeprefix(prefix) for key in self.entries if key.startswith(prefix)]
        return listing([*{head + slash for head, slash, _ in (key.partition("/") for key in below)}])

    def _data(self, request: Request, key: str) -> Response:
        if request.operation == "read":
            return self._read(key, parse_seconds(request.query.get("version", 0), name="version"))
        if request.operation == "delete":
            entry = self.entries.get(key)
            if entry is not None and entry.current:
                self._hide(entry, [entry.current])
            return done()
        return self._write(key, request.data)

    def _read(self, key: str, wanted: int) -> Response:
        entry = self.entries.get(key)
        number = wanted or (entry.current if entry else 0)
        if entry is None or number not in entry.versions:
            raise absent()
        version = entry.versions[number]
        hidden = bool(version.deleted) or version.destroyed
        answer = {"data": None if hidden else version.data, "metadata": entry.describe_version(number)}
        return found(answer, status=404 if hidden else 200)

    def _write(self, key: str, body: Mapping[str, Any]) -> Response:
        data = body.get("data")
        if not isinstance(data, dict):
            raise RefusedError(400, "no data provided")
        entry = self.entries.get(key) or Entry()
        options = body.get("options") or {}
        if "cas" in options:
            if int(options["cas"]) != entry.current:
                raise RefusedError(400, "check-and-set parameter did not match the current version")
        elif self._cas_required or entry.cas_required:
            raise RefusedError(400, "check-and-set parameter required for this call")
        entry.current += 1
        entry.versions[entry.current] = version = Version(data)
        entry.updated = version.created
        if entry.current == 1:
            entry.created = version.created
        kept = entry.max_versions or self._max_versions or KEPT_VERSIONS
        entry.versions = {number: each for number, each in entry.versions.items() if number > entry.current - kept}
        self.entries[key], self.latest = entry, data
        return found(entry.describe_version(entry.current))

    def _metadata(self, request: Request, key: str) -> Response:
        entry = self.entries.get(key)
        if request.operation == "delete":
            self.entries.pop(key, None)
            return done()
        if request.operation == "read":
            if entry is None:
                raise absent()
            return found(self._describe(entry))
        entry = self.entries.setdefault(key, Entry())
        entry.max_versions = int(request.data.get("max_versions", entry.max_versions))
        entry.cas_required = bool(request.data.get("cas_required", entry.cas_required))
        entry.custom_metadata = request.data.get("custom_metadata", entry.custom_metadata)
        return done()

    def _describe(self, entry: Entry) -> dict[str, Any]:
        return {
            "versions": {str(number): version.describe() for number, version in entry.versions.items()},
            "current_version": entry.current,
            # Zero as long as none was dropped.
            "oldest_version": min(entry.versions) if entry.versions and min(entry.versions) > 1 else 0,
            "created_time": entry.created,
            "updated_time": entry.updated,
            "max_versions": entry.max_versions,
            "cas_required": entry.cas_required,
            "delete_version_after": "0s",
            "custom_metadata": entry.custom_metadata,
        }

    def _mark(self, request: Request, key: str) -> Response:
        entry = self.entries.get(key)
        numbers = [int(number) for number in request.data.get("versions", [])]
        if not numbers:
            raise RefusedError(400, "no version number provided")
        if entry is None:
            return done()
        area = request.path.split("/")[0]
        if area == "delete":
            self._hide(entry, numbers)
        for version in (entry.versions[number] for number in numbers if number in entry.versions):
            if area == "undelete":
                version.deleted = ""
            elif area == "destroy":
                version.data = None
        return done()

    @staticmethod
    def _hide(entry: Entry, numbers: list[int]) -> None:
        for number in numbers:
            version = entry.versions.get(number)
            if version is not None and not version.deleted and not version.destroyed:
                version.deleted = format_time()
