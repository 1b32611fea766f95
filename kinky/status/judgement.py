"""The judgement: one pure function from observations to verdicts, and from verdicts to an exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from kinky.findings import EXIT_CODES, Severity
from kinky.keys.certificates import format_time, parse_time
from kinky.status.observation import UNREACHABLE, Observation, Side, State

SELF: Final = "self"
HOST: Final = "host"
BLIND: Final = "the prober cannot judge itself: {detail}"
CUT_OFF: Final = "the host's API does not answer either, so this machine may be cut off: {detail}"
OLD: Final = "the last look is {seconds:.0f} s old"


class Word(StrEnum):
    """The worth of a capability."""

    OK = "OK"
    DEGRADED = "DEGRADED"
    PARTIAL = "PARTIAL"
    """Some families or vantages are served, and others are not."""
    UNKNOWN = "UNKNOWN"
    CRITICAL = "CRITICAL"


RANK: Final = {Word.OK: 0, Word.DEGRADED: 1, Word.UNKNOWN: 2, Word.PARTIAL: 3, Word.CRITICAL: 4}
SEVERITIES: Final = {
    Word.OK: Severity.FINE,
    Word.DEGRADED: Severity.WARNING,
    Word.UNKNOWN: Severity.UNKNOWN,
    Word.PARTIAL: Severity.CRITICAL,
    Word.CRITICAL: Severity.CRITICAL,
}
_STATE_RANK: Final = {State.OK: 0, State.WARNING: 1, State.UNKNOWN: 2, State.BAD: 3}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The judgement on one capability."""

    capability: str
    word: Word
    outside: Observation
    """The worst that was seen from outside."""
    inside: Observation | None
    """The worst that the inside reports; None when it was not asked."""
    disagree: bool
    """Whether outside and inside say different things."""
    disagree_since: str
    """When they differed first (RFC 3339); empty when they agree."""
    why: str
    next_step: str
    observations: tuple[Observation, ...]


def judge(
    observations: Iterable[Observation], *, now: datetime, disagree_since: Mapping[str, str] | None = None
) -> list[Verdict]:
    """Judge each capability, the worst first.

    Args:
        disagree_since: By capability, when outside and inside differed first, as an earlier judgement said.
    """
    seen = _doubt(list(observations))
    groups: dict[str, list[Observation]] = {}
    for each in seen:
        groups.setdefault(each.capability, []).append(each)
    since = disagree_since or {}
    verdicts = [_judge_one(group, now=now, since=since.get(name, "")) for name, group in groups.items()]
    return sorted(verdicts, key=lambda verdict: (-RANK[verdict.word], verdict.capability))


def find_exit_code(verdicts: Sequence[Verdict], *, strict: bool = False) -> int:
    """Return the exit code: the worst wins in the order 2, 3, 1, 0; nothing judged is UNKNOWN."""
    if strict and any(verdict.disagree for verdict in verdicts):
        return EXIT_CODES[Severity.CRITICAL]
    worst = max((verdict.word for verdict in verdicts), key=RANK.__getitem__, default=Word.UNKNOWN)
    return EXIT_CODES[SEVERITIES[worst]]


def expire(observations: Iterable[Observation], *, now: datetime, limits: Mapping[str, float]) -> list[Observation]:
    """Turn observations that are too old into UNKNOWN.

    Args:
        limits: By capability, the age in seconds up to which a look counts; a capability without one never ends.
    """
    kept = []
    for each in observations:
        age = (now - parse_time(each.at)).total_seconds() if each.at else 0.0
        old = age > limits.get(each.capability, float("inf"))
        kept.append(replace(each, state=State.UNKNOWN, reason="old", detail=OLD.format(seconds=age)) if old else each)
    return kept


def _doubt(seen: list[Observation]) -> list[Observation]:
    """Take back what a prober that sees nothing cannot know: no judgement at all, or none over the network."""
    own = next((each for each in seen if each.capability == SELF and each.state is not State.OK), None)
    if own is not None:
        return [
            each
            if each.capability == SELF
            else replace(each, state=State.UNKNOWN, reason="blind", detail=BLIND.format(detail=own.detail))
            for each in seen
        ]
    away = any(each.capability == HOST and each.state is State.UNKNOWN and each.reason == "no-answer" for each in seen)
    if not away:
        return seen
    return [
        replace(each, state=State.UNKNOWN, reason="cut-off", detail=CUT_OFF.format(detail=each.detail))
        if each.side is Side.OUTSIDE and each.state is State.BAD and each.reason in UNREACHABLE
        else each
        for each in seen
    ]


def _judge_one(group: Sequence[Observation], *, now: datetime, since: str) -> Verdict:
    """Judge one capability by the table of docs/status.md."""
    outsides = [each for each in group if each.side is Side.OUTSIDE]
    insides = [each for each in group if each.side is Side.INSIDE]
    inside = max(insides, key=_rank, default=None)
    if not outsides:
        first = group[0]
        outsides = [replace(first, side=Side.OUTSIDE, state=State.UNKNOWN, reason="no-look", detail="nobody looked")]
    outside = max(outsides, key=_rank)
    inside_bad = inside is not None and inside.state in (State.BAD, State.WARNING)
    inside_ok = inside is not None and inside.state is State.OK
    disagree = (outside.state is State.BAD and inside_ok) or (outside.state is State.OK and inside_bad)
    word = _find_word(outside.state, inside_bad=inside_bad, partial=_is_partial(outsides))
    first_seen = (since or format_time(now)) if disagree else ""
    culprit = inside if outside.state is State.OK and inside_bad and inside is not None else outside
    return Verdict(
        capability=outside.capability,
        word=word,
        outside=outside,
        inside=inside,
        disagree=disagree,
        disagree_since=first_seen,
        why=_explain(word, outside, inside, outsides, disagree=disagree, since=first_seen),
        next_step="" if word is Word.OK else culprit.hint,
        observations=tuple(group),
    )


def _find_word(outside: State, *, inside_bad: bool, partial: bool) -> Word:
    if outside is State.UNKNOWN:
        return Word.UNKNOWN
    if outside is State.BAD:
        return Word.PARTIAL if partial else Word.CRITICAL
    return Word.DEGRADED if outside is State.WARNING or inside_bad else Word.OK


def _is_partial(outsides: Sequence[Observation]) -> bool:
    """Tell whether one family or vantage is served and another is not, for the same target."""
    ways = {(each.vantage, each.family): each.state for each in outsides}
    if len(ways) < 2:
        return False
    good = {way for way in ways if all(o.state is State.OK for o in outsides if (o.vantage, o.family) == way)}
    bad = {(o.vantage, o.family) for o in outsides if o.state is State.BAD}
    return bool(good and bad)


def _rank(seen: Observation) -> int:
    return _STATE_RANK[seen.state]


def _explain(
    word: Word,
    outside: Observation,
    inside: Observation | None,
    outsides: Sequence[Observation],
    *,
    disagree: bool,
    since: str,
) -> str:
    """Say in one sentence why the verdict is not OK; empty for OK."""
    if word is Word.OK:
        return ""
    place = f"{outside.target}: " if outside.target and outside.target not in outside.detail else ""
    told = f"{place}{outside.detail}"
    if word is Word.PARTIAL:
        bad = sorted({each.family or each.vantage for each in outsides if each.state is State.BAD})
        return f"not served over {', '.join(bad)}: {told}"
    if disagree and outside.state is State.BAD and inside is not None:
        return (
            f"{told}; the inside believes that all is well ({inside.target}: {inside.detail}), since {since}: "
            f"look at the path between them, {outside.facts.get('path') or outside.target}"
        )
    if disagree and inside is not None:
        return f"users are served; {inside.target}: {inside.detail}"
    return told
