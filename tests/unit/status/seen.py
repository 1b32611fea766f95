"""Observations as tests write them, and verdicts over a whole cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kinky.status import probes
from kinky.status.judgement import Verdict, judge
from kinky.status.observation import Observation, Side, State
from kinky.status.rounds import look_once
from kinky.status.target import Target

NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)
AT = "2026-11-30T12:00:00Z"


def outside(state: State, capability: str = "api", **more: Any) -> Observation:
    """Return an observation from outside."""
    known = {"target": "the endpoint", "detail": "something was seen", "at": AT, "latency_ms": 12.0}
    return Observation(capability=capability, side=Side.OUTSIDE, state=state, **(known | more))


def inside(state: State, capability: str = "api", **more: Any) -> Observation:
    """Return what the inside reports."""
    known = {"target": "dev-control-plane-0", "detail": "the inside says so", "at": AT, "latency_ms": 3.0}
    return Observation(capability=capability, side=Side.INSIDE, state=state, **(known | more))


def judge_all(target: Target, *capabilities: str, deep: bool = False) -> dict[str, Verdict]:
    """Look once and return the verdicts by capability."""
    chosen = probes.choose(list(capabilities), deep=deep)
    seen = look_once(target, chosen, vantage="here")
    return {verdict.capability: verdict for verdict in judge(seen, now=datetime.now(UTC))}
