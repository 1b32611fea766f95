"""One round of looks: the chosen probes side by side, each with its own limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kinky.errors import KinkyError
from kinky.status import selftest
from kinky.status.judgement import SELF
from kinky.status.observation import Observation, State, Watch
from kinky.status.parallel import Job, run_side_by_side
from kinky.status.probes import Probe
from kinky.status.target import Target

SELF_SECONDS = 10.0


def look_once(target: Target, probes: Mapping[str, Probe], *, vantage: str) -> list[Observation]:
    """Look once with each probe; the short self-test runs beside them."""
    jobs = {name: build_job(target, probe) for name, probe in probes.items()}
    jobs[SELF] = build_self_job()
    found = [each for seen in run_side_by_side(jobs).values() for each in seen]
    return [replace(each, vantage=vantage) for each in found]


def build_job(target: Target, probe: Probe) -> Job[list[Observation]]:
    """Build the look of one probe."""
    watch = Watch(probe.capability, probe.capability)

    def fail(error: Exception) -> list[Observation]:
        if isinstance(error, KinkyError):
            return [watch.blind(error)]
        # A library's text may quote anything.
        return [watch.see(State.UNKNOWN, "failed", f"the look failed: {type(error).__name__}")]

    return Job(
        work=lambda: probe.look(target),
        limit_seconds=probe.limit_seconds,
        late=lambda: [watch.see(State.UNKNOWN, "late", f"no answer within {probe.limit_seconds:g} s")],
        failed=fail,
    )


def build_self_job() -> Job[list[Observation]]:
    """Build the short self-test."""
    watch = Watch(SELF, "this prober")
    return Job(
        work=selftest.look,
        limit_seconds=SELF_SECONDS,
        late=lambda: [watch.see(State.UNKNOWN, "late", "the self-test takes too long: this machine is overloaded")],
        failed=lambda error: [watch.see(State.UNKNOWN, "failed", f"the self-test failed: {type(error).__name__}")],
    )


def describe_no_host(capabilities: list[str], error: KinkyError, *, vantage: str) -> list[Observation]:
    """Return what is left to say when the host cannot even be named or is another one: nothing of the cluster."""
    unknown = [Watch(name, name).blind(error) for name in capabilities]
    return [replace(each, vantage=vantage) for each in unknown]
