"""The journal: which operation runs and how far each one has come. One ConfigMap on the host, without any secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from kinky import names
from kinky.errors import HostError
from kinky.keys.certificates import format_time
from kinky.kube import resources
from kinky.kube.connection import ApiError, JsonObject
from kinky.kube.host import HostApi
from kinky.operations.operation import Operation


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of one operation; the times are RFC 3339, and empty when there was no such moment."""

    started_at: str = ""
    """When the operation that is not finished was started."""
    step: str = ""
    """The sub-step that runs, or that ran when the operation was interrupted; else the last finished one."""
    waits_until: str = ""
    """Until when the operation has nothing to do; it excludes no other one meanwhile."""
    done: tuple[str, ...] = ()
    notes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Facts that sub-steps need again after an interruption, by sub-step."""
    finished_at: str = ""
    """When the last whole operation was finished."""

    @property
    def is_started(self) -> bool:
        """Whether the operation was started and is not finished."""
        return bool(self.started_at)

    @property
    def excludes_others(self) -> bool:
        """Whether no other operation may run now."""
        return self.is_started and not self.waits_until

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Progress:
        """Parse what `build` has built."""
        return cls(**{**body, "done": tuple(body["done"])})

    def build(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**vars(self), "done": list(self.done), "notes": {key: dict(note) for key, note in self.notes.items()}}


class Journal:
    """The recorded state of one operation; each method that changes it has written it when it returns.

    Every write carries the version that was read. So of two programs that start at the same moment, also with different
    operations, one is refused.
    """

    def __init__(self, api: HostApi, cluster: str, operation: Operation) -> None:
        """Read nothing yet."""
        self._api = api
        self._cluster = cluster
        self._name = names.operations_record(cluster)
        self._version = ""
        self._others: Mapping[Operation, Progress] = {}
        self.operation = operation
        self.progress = Progress()

    def read(self) -> Progress:
        """Read the state of this operation, and of all others."""
        body = self._api.fetch_here(resources.CONFIG_MAPS, self._name) or {}
        self._version = _get_version(body)
        found = _parse_all(self._name, body)
        self.progress = found.pop(self.operation, Progress())
        self._others = found
        return self.progress

    def require_alone(self) -> None:
        """Raise HostError while another operation is in progress."""
        for other, progress in self._others.items():
            if progress.excludes_others:
                raise HostError(
                    f"cannot {self.operation}: {other.command} is still in progress (step {progress.step or 'none'})",
                    hint=f"finish it first: {other.command}",
                )

    def start(self) -> None:
        """Write down that the operation is started, unless it continues; raises HostError beside another one."""
        self.require_alone()
        if not self.progress.is_started:
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
        """Write down that the operation is finished."""
        self._write(Progress(finished_at=format_time(datetime.now(UTC))))

    def _write(self, progress: Progress) -> None:
        """Write the operation's state; refuse when somebody else has written since it was read."""
        metadata: JsonObject = {"name": self._name, "labels": names.cluster_labels(self._cluster)}
        data = {self.operation.key: json.dumps(progress.build())}
        api, where = self._api, self._api.namespace
        if not self._version:
            if not api.create(resources.CONFIG_MAPS, {"metadata": metadata, "data": data}, namespace=where):
                raise self._conflict()
            body = api.fetch_here(resources.CONFIG_MAPS, self._name) or {}
        else:
            seen = {"metadata": {"resourceVersion": self._version}, "data": data}
            try:
                body = api.patch(resources.CONFIG_MAPS, self._name, seen, namespace=where)
            except ApiError as error:
                if error.status != 409:
                    raise
                raise self._conflict() from None
        self._version = _get_version(body)
        self.progress = progress

    def _conflict(self) -> HostError:
        return HostError(
            f"cannot {self.operation}: another program has changed ConfigMap {self._api.namespace}/{self._name}"
            " meanwhile",
            hint=f"look whether another operation runs; the next {self.operation.command} continues from here",
        )


def fetch_all_progress(api: HostApi, cluster: str) -> dict[Operation, Progress]:
    """Fetch the states of all operations that were ever started."""
    name = names.operations_record(cluster)
    return _parse_all(name, api.fetch_here(resources.CONFIG_MAPS, name) or {})


def _get_version(body: JsonObject) -> str:
    return str((body.get("metadata") or {}).get("resourceVersion", ""))


def _parse_all(name: str, body: JsonObject) -> dict[Operation, Progress]:
    """Parse the ConfigMap; what is not a record is refused rather than taken for a fresh start."""
    try:
        return {
            Operation.parse(key): Progress.parse(json.loads(text)) for key, text in (body.get("data") or {}).items()
        }
    except (KeyError, TypeError, ValueError):
        raise HostError(
            f"host cluster: ConfigMap {name} holds no record of operations",
            hint="it was edited: restore it, or delete it only if no operation is in progress",
        ) from None
