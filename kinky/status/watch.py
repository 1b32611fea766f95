"""`--watch`: each probe looks in its own rhythm, and changes are told."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from kinky.status.judgement import SELF, Verdict, expire, judge
from kinky.status.observation import Observation
from kinky.status.parallel import Job, run_side_by_side
from kinky.status.probes import Probe
from kinky.status.rounds import build_job, build_self_job
from kinky.status.steady import Steady
from kinky.status.target import Target

SELF_EVERY_SECONDS: Final = 60.0
TICK_SECONDS: Final = 1.0
"""How often the age of what was seen is looked at, when nothing new is seen."""


@dataclass
class Board:
    """The last look of each probe, and what is shown of it."""

    probes: Mapping[str, Probe]
    vantage: str
    seen: dict[str, list[Observation]] = field(default_factory=dict)
    steady: Steady = field(default_factory=Steady)
    disagree_since: dict[str, str] = field(default_factory=dict)

    def notice(self, probe: str, found: Sequence[Observation]) -> None:
        """Take the look of a probe."""
        self.seen[probe] = [replace(each, vantage=self.vantage) for each in found]

    def judge(self, now: datetime) -> tuple[list[Verdict], list[Verdict]]:
        """Return what is shown now, the worst first, and what of it has changed."""
        ages: dict[str, float] = {}
        for probe in self.probes.values():
            ages[probe.capability] = max(ages.get(probe.capability, 0.0), probe.age_seconds)
        observations = [each for found in self.seen.values() for each in found]
        verdicts = judge(expire(observations, now=now, limits=ages), now=now, disagree_since=self.disagree_since)
        self.disagree_since = {each.capability: each.disagree_since for each in verdicts if each.disagree_since}
        fed = [self.steady.feed(verdict, confirm=self._find_confirm(verdict.capability)) for verdict in verdicts]
        return [self.steady.shown[verdict.capability] for verdict in verdicts], [each for each in fed if each]

    @property
    def is_complete(self) -> bool:
        """Whether each probe has looked at least once."""
        return self.probes.keys() <= self.seen.keys()

    def _find_confirm(self, capability: str) -> int:
        return max((probe.confirm for probe in self.probes.values() if probe.capability == capability), default=1)


def run_watch(
    target: Target,
    probes: Mapping[str, Probe],
    board: Board,
    tell: Callable[[list[Verdict], list[Verdict], datetime], None],
    *,
    interval_seconds: float | None,
    end: threading.Event,
) -> None:
    """Look until the event is set.

    Args:
        tell: Called with all verdicts and with those that changed, after each look once every probe has looked.
        interval_seconds: The shortest pause between two looks of one probe; None is each probe's own.
    """
    found: queue.SimpleQueue[tuple[str, list[Observation]]] = queue.SimpleQueue()
    jobs = {name: (build_job(target, probe), probe.every_seconds) for name, probe in probes.items()}
    jobs[SELF] = (build_self_job(), SELF_EVERY_SECONDS)
    for name, (job, every) in jobs.items():
        pause = max(every, interval_seconds or 0.0)
        arguments = (name, job, pause, found, end)
        threading.Thread(target=_repeat, args=arguments, name=f"watch {name}", daemon=True).start()
    while not end.is_set():
        try:
            name, seen = found.get(timeout=TICK_SECONDS)
            board.notice(name, seen)
        except queue.Empty:
            pass
        if board.is_complete:
            now = datetime.now(UTC)
            tell(*board.judge(now), now)


def _repeat(
    name: str,
    job: Job[list[Observation]],
    pause: float,
    found: queue.SimpleQueue[tuple[str, list[Observation]]],
    end: threading.Event,
) -> None:
    while not end.is_set():
        found.put((name, run_side_by_side({name: job})[name]))
        end.wait(pause)
