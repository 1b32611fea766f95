"""The judgement alone: the table, the exit codes, ages, and what a blind prober may say."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinky.status.judgement import Word, expire, find_exit_code, judge
from kinky.status.observation import Observation, State
from tests.unit.status.seen import AT, NOW, inside, outside

OK, WARNING, BAD, UNKNOWN = State.OK, State.WARNING, State.BAD, State.UNKNOWN


@pytest.mark.parametrize(
    ("without", "within", "word", "disagree"),
    [
        (OK, OK, Word.OK, False),
        (OK, BAD, Word.DEGRADED, True),
        (OK, WARNING, Word.DEGRADED, True),
        (OK, UNKNOWN, Word.OK, False),
        (BAD, OK, Word.CRITICAL, True),
        (BAD, BAD, Word.CRITICAL, False),
        (BAD, UNKNOWN, Word.CRITICAL, False),
        (UNKNOWN, OK, Word.UNKNOWN, False),
        (UNKNOWN, BAD, Word.UNKNOWN, False),
        (WARNING, OK, Word.DEGRADED, False),
        (WARNING, BAD, Word.DEGRADED, False),
    ],
)
def test_the_table(without: State, within: State, word: Word, disagree: bool) -> None:
    (verdict,) = judge([outside(without), inside(within)], now=NOW)
    assert (verdict.word, verdict.disagree) == (word, disagree)
    assert bool(verdict.disagree_since) == disagree


def test_a_disagreement_keeps_its_first_time() -> None:
    (verdict,) = judge([outside(BAD), inside(OK)], now=NOW, disagree_since={"api": "2026-11-30T11:00:00Z"})
    assert verdict.disagree_since == "2026-11-30T11:00:00Z" and "since 2026-11-30T11:00:00Z" in verdict.why


def test_t9_one_family_broken_is_partial_and_named() -> None:
    seen = [
        outside(OK, family="IPv4", target="192.0.2.1:6443"),
        outside(BAD, family="IPv6", target="[2001:db8::1]:6443"),
    ]
    (verdict,) = judge(seen, now=NOW)
    assert verdict.word is Word.PARTIAL and verdict.why.startswith("not served over IPv6")
    assert find_exit_code([verdict]) == 2


def test_two_vantages_that_differ_are_partial() -> None:
    (verdict,) = judge([outside(OK, vantage="office"), outside(BAD, vantage="ci")], now=NOW)
    assert verdict.word is Word.PARTIAL and "not served over ci" in verdict.why


def test_both_vantages_bad_are_critical() -> None:
    (verdict,) = judge([outside(BAD, vantage="office"), outside(BAD, vantage="ci")], now=NOW)
    assert verdict.word is Word.CRITICAL


def test_the_worst_comes_first_and_wins() -> None:
    seen = [outside(OK, "dns"), outside(UNKNOWN, "etcd"), outside(BAD, "api"), outside(WARNING, "gate")]
    verdicts = judge(seen, now=NOW)
    assert [verdict.capability for verdict in verdicts] == ["api", "etcd", "gate", "dns"]
    assert find_exit_code(verdicts) == 2
    assert [find_exit_code(verdicts[place:]) for place in range(4)] == [2, 3, 1, 0]


def test_nothing_judged_is_unknown() -> None:
    assert find_exit_code([]) == 3


def test_a_prober_that_fails_its_self_test_judges_nothing() -> None:
    verdicts = judge([outside(UNKNOWN, "self", detail="probe api is blind"), outside(OK), outside(BAD, "dns")], now=NOW)
    assert {verdict.word for verdict in verdicts} == {Word.UNKNOWN}
    assert all("probe api is blind" in verdict.why for verdict in verdicts)


def test_t8_no_host_takes_back_what_a_cut_network_would_show_too() -> None:
    away = outside(UNKNOWN, "host", reason="no-answer")
    silent, wrong = outside(BAD, reason="silent"), outside(BAD, "dns", reason="wrong-answer")
    verdicts = {verdict.capability: verdict.word for verdict in judge([away, silent, wrong], now=NOW)}
    assert verdicts == {"host": Word.UNKNOWN, "api": Word.UNKNOWN, "dns": Word.CRITICAL}


def test_t19_what_is_older_than_two_intervals_is_unknown() -> None:
    later = NOW + timedelta(minutes=10)
    kept = expire([outside(OK), outside(OK, "certificates")], now=later, limits={"api": 14.0, "certificates": 7200.0})
    words = {verdict.capability: verdict.word for verdict in judge(kept, now=later)}
    assert words == {"api": Word.UNKNOWN, "certificates": Word.OK}
    assert kept[0].detail == "the last look is 600 s old"


@given(st.lists(st.tuples(st.sampled_from([*State]), st.booleans()), min_size=1, max_size=6))
def test_an_outside_that_is_not_ok_is_never_ok(states: list[tuple[State, bool]]) -> None:
    seen = [(outside if out else inside)(state) for state, out in states]
    (verdict,) = judge(seen, now=NOW)
    outsides = [state for state, out in states if out]
    if verdict.word is Word.OK:
        assert outsides and {*outsides} == {OK}
    if UNKNOWN not in outsides and BAD not in outsides and outsides:
        assert find_exit_code([verdict]) in (0, 1), "the inside alone is never critical"
    assert judge(seen, now=NOW) == judge(seen, now=NOW)


def test_an_observation_survives_json() -> None:
    for state, family in itertools.product(State, ("", "IPv6")):
        seen = outside(state, family=family, facts={"a": "b"})
        assert Observation.parse(seen.build()) == seen
    assert outside(OK).at == AT
