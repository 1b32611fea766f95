"""The parts of a page besides the verdicts: the boot of each node, the gate's evidence, and replaced nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kinky.errors import KinkyError
from kinky.forming.climbs import FIRST_WORD, INSTANCE, MADE, NOT_READY, PLACED, READY, RUNNING
from kinky.gate.gate import fetch_state
from kinky.keys.certificates import parse_time
from kinky.operations.journal import fetch_all_progress
from kinky.status.ladders import climb
from kinky.status.target import Target
from kinky.why.facts import NodeFacts
from kinky.why.ladder import Explanation

WORDS: Final = {MADE: "VM made", INSTANCE: "instance made", RUNNING: "guest starts", READY: "Ready"}
"""Moments that the page names otherwise."""
HIDDEN: Final = frozenset({PLACED, FIRST_WORD, NOT_READY, "pending", "succeeded", "failed"})
"""Moments that are no step of a boot on the page."""
OPENED: Final = "gate opened"


@dataclass(frozen=True)
class Mark:
    """A moment on a row of the timeline."""

    what: str
    at: datetime


@dataclass(frozen=True)
class Row:
    """One row: a node, or the cluster as a whole."""

    name: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Evidence:
    """One item of the gate's evidence."""

    item: str
    what: str
    seen_at: str


@dataclass(frozen=True)
class Replacement:
    """Something that was replaced."""

    what: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Story:
    """All of it."""

    nodes: tuple[NodeFacts, ...]
    explanations: tuple[Explanation, ...]
    rows: tuple[Row, ...]
    evidence: tuple[Evidence, ...]
    gate: str
    """The gate's state in a sentence; empty when it could not be read."""
    replacements: tuple[Replacement, ...]


def fetch_story(target: Target) -> Story:
    """Fetch it; what cannot be read is left out."""
    ladders = climb(target)
    nodes = tuple(ladder.facts for ladder in ladders)
    gate, since, evidence = _fetch_gate(target)
    rows = [Row(node.name, tuple(build_marks(node))) for node in nodes]
    opened = [Mark(OPENED, parse_time(since))] if since else []
    return Story(
        nodes=nodes,
        explanations=tuple(ladder.explanation for ladder in ladders),
        rows=(*rows, Row("cluster", tuple(opened))),
        evidence=evidence,
        gate=gate,
        replacements=(*_find_operations(target), *_find_new_instances(nodes)),
    )


def build_marks(node: NodeFacts) -> list[Mark]:
    """Return the moments of a node's last boot, in order."""
    moments = node.climb.moments
    marks = [Mark(WORDS.get(key, key), at) for key, at in moments.items() if key not in HIDDEN]
    return sorted(marks, key=lambda mark: mark.at)


def _fetch_gate(target: Target) -> tuple[str, str, tuple[Evidence, ...]]:
    try:
        state = fetch_state(target.reach.inner())
    except KinkyError:
        return "", "", ()
    items = state.evidence.items if state.evidence else ()
    evidence = tuple(Evidence(each.item, each.what, each.seen_at) for each in items)
    since = state.since if state.is_latched and _is_time(state.since) else ""
    return f"{state.state} since {state.since}: {state.reason}", since, evidence


def _find_operations(target: Target) -> list[Replacement]:
    try:
        progress = fetch_all_progress(target.host, target.cluster)
    except KinkyError:
        return []
    done = [Replacement(str(operation), each.finished_at) for operation, each in progress.items() if each.finished_at]
    return sorted(done, key=lambda each: each.at, reverse=True)


def _find_new_instances(nodes: Sequence[NodeFacts]) -> list[Replacement]:
    """Find instances that are much younger than their VM: they were replaced since."""
    found = []
    for node in nodes:
        vm, instance = node.times.get("VM"), node.times.get("instance")
        if vm and instance and parse_time(instance) - parse_time(vm) > timedelta(minutes=1):
            found.append(Replacement(f"instance of {node.name}", instance))
    return sorted(found, key=lambda each: each.at, reverse=True)


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except ValueError:
        return False
    return True
