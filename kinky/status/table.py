"""A status for people: one line for each capability, the worst first, then why and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from kinky.keys.certificates import parse_time
from kinky.status.judgement import Verdict, Word
from kinky.status.observation import Observation, Side, State

MARKS: Final = {Word.OK: "✓", Word.DEGRADED: "!", Word.PARTIAL: "✗", Word.CRITICAL: "✗", Word.UNKNOWN: "?"}
"""A sign beside each word, so that colour is never the only one."""
HEAD: Final = ("", "CAPABILITY", "VERDICT", "OUTSIDE", "INSIDE", "AGE", "SEEN")


def render(verdicts: Sequence[Verdict], *, now: datetime) -> list[list[str]]:
    """Return the rows of the table."""
    return [list(HEAD), *(_render_row(verdict, now=now) for verdict in verdicts)]


def explain(verdicts: Sequence[Verdict]) -> list[str]:
    """Return what is told below the table: for each capability that is not OK, why, and the next step."""
    lines = []
    for verdict in verdicts:
        if verdict.word is Word.OK:
            continue
        lines += ["", f"{verdict.capability}: {describe_word(verdict)}", f"  why: {verdict.why}"]
        lines += [f"  also: {each.detail}" for each in list_others(verdict)]
        if verdict.next_step:
            lines.append(f"  next step: {verdict.next_step}")
    return lines


def describe_word(verdict: Verdict) -> str:
    """Return the verdict in words, with the sign of a disagreement."""
    since = f", DISAGREE since {verdict.disagree_since}" if verdict.disagree else ""
    return f"{verdict.word.value}{since}"


def list_others(verdict: Verdict) -> list[Observation]:
    """Return the other bad observations of a capability, each told once."""
    seen, others = {verdict.outside.detail, verdict.why}, []
    for each in verdict.observations:
        if each.state in (State.BAD, State.WARNING) and each.detail not in seen and each.detail not in verdict.why:
            seen.add(each.detail)
            others.append(each)
    return others


def _render_row(verdict: Verdict, *, now: datetime) -> list[str]:
    outside = verdict.outside
    age = f"{max(0.0, (now - parse_time(outside.at)).total_seconds()):.0f} s" if outside.at else "-"
    latency = f"{outside.latency_ms:.0f} ms" if outside.latency_ms is not None else "-"
    bad = [each for each in verdict.observations if each.state is not State.OK and each.side is Side.OUTSIDE]
    seen = outside.detail if not bad or len(verdict.observations) == 1 else f"{len(bad)} not ok: {outside.detail}"
    inside = verdict.inside.state.value if verdict.inside else "-"
    word = f"{verdict.word.value}{' DISAGREE' if verdict.disagree else ''}"
    return [MARKS[verdict.word], verdict.capability, word, f"{outside.state.value} {latency}", inside, age, _cut(seen)]


def _cut(text: str, limit: int = 100) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
