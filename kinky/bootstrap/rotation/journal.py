"""How far each rotation has come: one ConfigMap on the host, beside the keys, without any secret in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from kinky import names
from kinky.bootstrap.certificates import format_time
from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.connection import ApiError, JsonObject
from kinky.kube.host import HostApi


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of one item; the times are RFC 3339, and empty when there was no such moment."""

    started_at: str = ""
    """When the rotation that is not finished was started."""
    step: str = ""
    """The sub-step that runs, or was running when the rotation was cut off; else the last one that was done."""
    waits_until: str = ""
    """Until when the rotation has nothing to do; it holds up no other one meanwhile."""
    done: tuple[str, ...] = ()
    notes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What sub-steps must know again after an interruption, by sub-step."""
    finished_at: str = ""
    """When the last whole rotation was finished."""

    @property
    def is_half_done(self) -> bool:
        """Whether a rotation was started and is not finished."""
        return bool(self.started_at)

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Progress:
        """Parse what `build` has built."""
        return cls(**{**body, "done": tuple(body["done"])})

    def build(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**vars(self), "done": list(self.done), "notes": {key: dict(note) for key, note in self.notes.items()}}


class Journal:
    """The written state of one item; each method that changes it has written it when it returns."""

    def __init__(self, api: HostApi, cluster: str, item: str) -> None:
        """Read nothing yet."""
        self._api = api
        self._cluster = cluster
        self._name = names.rotation_record(cluster)
        self._version = ""
        self.item = item
        self.progress = Progress()

    def read(self) -> Progress:
        """Read the state of this item."""
        body = self._api.fetch_here(resources.CONFIG_MAPS, self._name) or {}
        self._version = str((body.get("metadata") or {}).get("resourceVersion", ""))
        self.progress = _parse_all(self._name, body).get(self.item, Progress())
        return self.progress

    def start(self) -> None:
        """Write down that the rotation is started, unless it goes on."""
        if not self.progress.is_half_done:
            now = format_time(datetime.now(UTC))
            self._write(Progress(started_at=now, finished_at=self.progress.finished_at))

    def enter(self, step: str) -> None:
        """Write down that this sub-step is going to change something."""
        self._write(replace(self.progress, step=step, waits_until=""))

    def leave(self, step: str) -> None:
        """Write down that this sub-step is done and proved."""
        self._write(replace(self.progress, step=step, done=(*self.progress.done, step)))

    def wait(self, until: str) -> None:
        """Write down that there is nothing to do before this time."""
        self._write(replace(self.progress, waits_until=until))

    def remember(self, step: str, note: Mapping[str, str]) -> Mapping[str, str]:
        """Write down what a sub-step found, the first time, and return what was written down then."""
        if step not in self.progress.notes:
            self._write(replace(self.progress, notes={**self.progress.notes, step: dict(note)}))
        return self.progress.notes[step]

    def recall(self, step: str) -> Mapping[str, str] | None:
        """Return what a sub-step has written down, if it has."""
        return self.progress.notes.get(step)

    def finish(self) -> None:
        """Write down that the rotation is whole."""
        self._write(Progress(finished_at=format_time(datetime.now(UTC))))

    def _write(self, progress: Progress) -> None:
        """Write the item's state; refuse when somebody else has written since it was read."""
        metadata: JsonObject = {"name": self._name, "labels": names.cluster_labels(self._cluster)}
        data = {self.item: json.dumps(progress.build())}
        api, where = self._api, self._api.namespace
        if not self._version and api.create(
            resources.CONFIG_MAPS, {"metadata": metadata, "data": data}, namespace=where
        ):
            body = api.fetch_here(resources.CONFIG_MAPS, self._name) or {}
        else:
            seen = {"metadata": {"resourceVersion": self._version}} if self._version else {}
            try:
                body = api.patch(resources.CONFIG_MAPS, self._name, {**seen, "data": data}, namespace=where)
            except ApiError as error:
                if error.status != 409:
                    raise
                raise HostError(
                    f"rotation of {self.item}: somebody else has changed ConfigMap {where}/{self._name} meanwhile",
                    hint="look whether another kinky rotate runs; the next one goes on from where it is",
                ) from None
        self._version = str((body.get("metadata") or {}).get("resourceVersion", ""))
        self.progress = progress


def fetch_all_progress(api: HostApi, cluster: str) -> dict[str, Progress]:
    """Fetch the states of all items that were ever rotated."""
    name = names.rotation_record(cluster)
    return _parse_all(name, api.fetch_here(resources.CONFIG_MAPS, name) or {})


def _parse_all(name: str, body: JsonObject) -> dict[str, Progress]:
    """Parse the ConfigMap; what is not a record is refused rather than taken for a fresh start."""
    try:
        return {item: Progress.parse(json.loads(text)) for item, text in (body.get("data") or {}).items()}
    except (KeyError, TypeError, ValueError):
        raise HostError(
            f"host cluster: ConfigMap {name} holds no record of rotations",
            hint="it was edited: restore it, or remove it only if no rotation is half done",
        ) from None
