"""The check of the checks: each probe meets faults of our own server, and must name each for the right reason."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kinky.errors import KinkyError
from kinky.status.fault_server import Identity
from kinky.status.judgement import SELF
from kinky.status.observation import Observation, State, Watch
from kinky.status.parallel import Job, run_side_by_side
from kinky.status.probes import PROBES
from kinky.status.stand_in import Trial, build_identity, stand_in
from kinky.status.trials import TRIALS

LIMIT_SECONDS: Final = 20.0
AT_ONCE: Final = 8
"""Trials side by side: with all of them, a busy machine makes our own servers later than the probes' patience."""
HINT: Final = "kinky status --selftest shows which probe; until then it says nothing of a cluster"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The answer of a probe to a fault."""

    probe: str
    fault: str
    wanted: str
    seen: str
    """The reasons that it gave; empty when it found nothing wrong."""

    @property
    def passed(self) -> bool:
        """Whether it named the fault."""
        return self.wanted in self.seen.split(", ")


def run_selftest(*, short: bool = False) -> list[Outcome]:
    """Run all trials, or the few of the short form."""
    with tempfile.TemporaryDirectory(prefix="kinky-selftest-") as folder:
        identity = build_identity(Path(folder))
        chosen = [trial for trial in TRIALS if trial.short or not short]
        jobs = [(f"{trial.probe}: {trial.fault}", _build_job(trial, identity)) for trial in chosen]
        groups = (dict(jobs[start : start + AT_ONCE]) for start in range(0, len(jobs), AT_ONCE))
        return [outcome for group in groups for outcome in run_side_by_side(group).values()]


def look() -> list[Observation]:
    """P0: tell whether this prober can see at all; when not, it judges nothing."""
    watch = Watch(SELF, "this prober")
    try:
        failed = [outcome for outcome in run_selftest(short=True) if not outcome.passed]
    except (OSError, KinkyError) as error:
        return [watch.see(State.UNKNOWN, "failed", f"the self-test cannot run: {type(error).__name__}", hint=HINT)]
    if failed:
        told = f"probe {failed[0].probe} does not notice a fault of the self-test: {failed[0].fault}"
        return [watch.see(State.UNKNOWN, "self-test", told, hint=HINT)]
    return [watch.good("notices the faults of the short self-test")]


def _build_job(trial: Trial, identity: Identity) -> Job[Outcome]:
    def end(seen: str) -> Outcome:
        return Outcome(probe=trial.probe, fault=trial.fault, wanted=trial.reason, seen=seen)

    def work() -> Outcome:
        with stand_in(trial, identity) as target:
            seen = PROBES[trial.probe].look(target)
        reasons = {each.reason for each in seen if each.state is not State.OK}
        return end(", ".join(sorted(reasons)))

    return Job(
        work=work,
        limit_seconds=LIMIT_SECONDS,
        late=lambda: end(f"no answer for {LIMIT_SECONDS:g} s"),
        failed=lambda error: end(f"an exception: {type(error).__name__}"),
    )
