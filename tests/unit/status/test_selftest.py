"""The check of the checks: every fault is named, and a probe that always succeeds is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kinky.status import probes, selftest
from kinky.status.observation import Observation, State, Watch
from kinky.status.target import Target
from kinky.status.trials import TRIALS


def test_t3_t4_t5_t18_each_fault_is_named_for_the_right_reason() -> None:
    failed = [outcome for outcome in selftest.run_selftest() if not outcome.passed]
    assert failed == []


def test_each_probe_has_a_fault_to_name() -> None:
    assert {trial.probe for trial in TRIALS} == {*probes.PROBES}


def test_the_faults_that_the_issue_lists_are_there() -> None:
    reasons = {trial.reason for trial in TRIALS}
    assert {
        "wrong-ca",
        "wrong-name",
        "expired",
        "wrong-body",
        "stale",
        "silent",
        "slow",
        "reset",
        "redirect",
    } <= reasons
    assert "own-clock" in reasons


@pytest.mark.parametrize("name", [*probes.PROBES])
def test_t23_a_probe_that_always_succeeds_is_found_and_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def succeed(_target: Target) -> list[Observation]:
        return [Watch(name, name).good()]

    mutant = replace(probes.PROBES[name], look=succeed)
    monkeypatch.setattr("kinky.status.selftest.PROBES", {**probes.PROBES, name: mutant})
    monkeypatch.setattr("kinky.status.selftest.TRIALS", [trial for trial in TRIALS if trial.probe == name])
    failed = {outcome.probe for outcome in selftest.run_selftest() if not outcome.passed}
    assert failed == {name}


def test_the_short_form_runs_at_each_start_and_makes_a_blind_prober_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each.state for each in selftest.look()] == [State.OK]
    blind = replace(probes.PROBES["api"], look=lambda _target: [])
    monkeypatch.setattr("kinky.status.selftest.PROBES", {**probes.PROBES, "api": blind})
    (seen,) = selftest.look()
    assert seen.state is State.UNKNOWN and "probe api does not notice" in seen.detail
