"""The work of Pulumi's engine as lines for people: each change once, each warning once, and all failures at the end."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pulumi.automation import EngineEvent
from pulumi.automation.events import DiagnosticEvent, OpType, StepEventMetadata

from kinky.progress import note, phase, relaying

DONE: Final = {
    OpType.CREATE: "created",
    OpType.UPDATE: "updated",
    OpType.DELETE: "deleted",
    OpType.CREATE_REPLACEMENT: "replaced",
    OpType.SAME: "unchanged",
}
PLANNED: Final = {
    OpType.CREATE: "create",
    OpType.UPDATE: "update",
    OpType.DELETE: "delete",
    OpType.CREATE_REPLACEMENT: "replace",
    OpType.SAME: "unchanged",
}
"""Other operations are parts of these, such as the end of the old one of a replacement, or only read."""
PROVIDER: Final = "pulumi:providers:"
STEP: Final = "pulumi-python:dynamic"
"""In the type of a live step; only its passing lines are of interest, not those of Kubernetes' provider."""
RAISED: Final = "Exception calling application: "
"""The text that grpc puts before the text of an exception."""
HINT: Final = "hint: "
SUMMARY: Final = re.compile(r"(update|preview|destroy) failed")
SILENT: Final = "pulumi gave no reason; was it killed?"
PATHS_SHOWN: Final = 3
END_SECONDS: Final = 5.0
"""How long the last events may be on their way after Pulumi has ended."""


@contextmanager
def telling(title: str, nodes: Collection[str], *, planned: bool) -> Iterator[Changes]:
    """Yield what reads the events of an operation and tells of them within a phase; the plan of a preview stays."""
    with phase(title) as running, relaying(nodes) as relay:
        changes = Changes(planned=planned, tell=note if planned else running.note, warn=note, relay=relay)
        yield changes
        note(f"  {changes.describe_counts()}")


class Changes:
    """Reads the events of one operation as they come, and tells each thing once."""

    def __init__(
        self,
        *,
        planned: bool,
        tell: Callable[[str], None],
        warn: Callable[[str], None],
        relay: Callable[[str, str], None],
    ) -> None:
        """Read nothing yet.

        Args:
            planned: Whether the changes are those that an `up` would make.
            tell: Takes a line about a change.
            warn: Takes a line about anything else.
            relay: Takes a line that a live step printed, and the step's URN.
        """
        self._words = PLANNED if planned else DONE
        self._planned = planned
        self._tell, self._warn, self._relay = tell, warn, relay
        self._counts: Counter[str] = Counter()
        self._told: set[str] = set()
        self._failures: list[str] = []
        self._heard: list[str] = []
        self._begun = False
        self._ended = threading.Event()

    def see(self, event: EngineEvent) -> None:
        """Take the next event."""
        self._begun = True
        if event.res_outputs_event:
            self._see_change(event.res_outputs_event.metadata)
        elif event.res_op_failed_event:
            self._tell(f"failed: {name_plainly(event.res_op_failed_event.metadata.urn)}")
        elif event.diagnostic_event:
            self._see_message(event.diagnostic_event)
        elif event.cancel_event:
            self._ended.set()

    def hear(self, line: str) -> None:
        """Take a line of Pulumi's standard error: with it, Pulumi fails before its engine runs."""
        self._heard.append(line)

    def describe_counts(self) -> str:
        """Say how many resources there are of each kind of change."""
        self._wait_end()
        words = [word for word in self._words.values() if self._counts[word]]
        return ", ".join(_count(word, self._counts[word], planned=self._planned) for word in words) or "no resources"

    def describe_failures(self) -> list[str]:
        """Return all failures in full, without those that only say that there was one."""
        self._wait_end()
        failures = [text for text in self._failures if not SUMMARY.fullmatch(text)]
        return failures or self._failures or self._heard or [SILENT]

    def _wait_end(self) -> None:
        """Wait for the last event, which may come after Pulumi's end; a Pulumi that was killed sends none."""
        if self._begun:
            self._ended.wait(END_SECONDS)

    def _see_change(self, step: StepEventMetadata) -> None:
        state = step.new or step.old
        word = self._words.get(step.op)
        # A component is nothing that is made, and a provider is a part of Pulumi's.
        if word is None or state is None or not state.custom or step.type.startswith(PROVIDER):
            return
        self._counts[word] += 1
        if step.op is not OpType.SAME:
            self._tell(f"{word} {name_plainly(step.urn)}{_list_paths(step)}")

    def _see_message(self, message: DiagnosticEvent) -> None:
        text, urn = message.message.strip("\n"), message.urn or ""
        if message.severity == "error":
            text = f"{name_plainly(urn)}: {text.removeprefix(RAISED)}" if is_thing(urn) else text
            self._failures.append(text)
        elif message.severity.startswith("info"):
            if not message.ephemeral or STEP in urn:
                for line in text.splitlines():
                    self._relay(line, urn)
        elif message.severity == "warning" and not message.ephemeral:
            text = f"warning: {name_plainly(urn)}: {text}" if is_thing(urn) else f"warning: {text}"
            if text not in self._told:
                self._told.add(text)
                self._warn(text)


def split_hint(failures: Sequence[str]) -> tuple[Sequence[str], str | None]:
    """Return the failures and their hint, if there is just one failure with one."""
    if len(failures) == 1:
        text, found, hint = failures[0].rpartition(f"\n{HINT}")
        if found:
            return [text], hint
    return failures, None


def is_thing(urn: str) -> bool:
    """Tell whether a URN names something else than the stack as a whole."""
    return bool(urn) and "pulumi:pulumi:Stack" not in urn.split("::")[2].split("$")[-1]


def name_plainly(urn: str) -> str:
    """Return kind and name of a resource, such as `Service kinky-dev/dev-endpoint` or `NodesReady dev-ready`."""
    _, _, types, name = urn.split("::", 3)
    kind = types.rsplit(":", 1)[-1]
    match name.split("/"):
        case [*_, "cluster", kind_too, own] if kind_too == kind.lower():
            return f"{kind} {own}"
        case [*_, namespace, kind_too, own] if kind_too == kind.lower():
            return f"{kind} {namespace}/{own}"
    return f"{kind} {name}"


def _list_paths(step: StepEventMetadata) -> str:
    """Return the first of the properties that differ; never a value, which may be a secret."""
    paths = sorted(step.detailed_diff or step.diffs or []) if step.op is not OpType.CREATE else []
    more = f" and {len(paths) - PATHS_SHOWN} more" if len(paths) > PATHS_SHOWN else ""
    return f": {', '.join(paths[:PATHS_SHOWN])}{more}" if paths else ""


def _count(word: str, count: int, *, planned: bool) -> str:
    return f"{count} to {word}" if planned and word != PLANNED[OpType.SAME] else f"{count} {word}"
