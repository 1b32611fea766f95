"""`--watch`: each probe in its rhythm, changes only, and no recovery by one good look."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from kinky.status import fault_server, probes
from kinky.status.judgement import Verdict, Word, judge
from kinky.status.observation import State
from kinky.status.steady import Steady
from kinky.status.watch import Board, run_watch
from tests.unit.status.healthy import Healthy
from tests.unit.status.seen import NOW, outside


def verdict(state: State, number: int) -> Verdict:
    at = NOW + timedelta(seconds=number)
    return judge([outside(state, at=f"{at:%Y-%m-%dT%H:%M:%SZ}")], now=at)[0]


def test_one_bad_look_is_not_told_and_two_are() -> None:
    steady = Steady()
    assert steady.feed(verdict(State.OK, 0), confirm=2) is not None
    assert steady.feed(verdict(State.BAD, 1), confirm=2) is None
    assert steady.feed(verdict(State.BAD, 1), confirm=2) is None, "the same look, judged again"
    told = steady.feed(verdict(State.BAD, 2), confirm=2)
    assert told is not None and told.word is Word.CRITICAL


def test_t2_a_recovery_needs_three_good_looks() -> None:
    steady = Steady()
    steady.feed(verdict(State.BAD, 0), confirm=1)
    assert [steady.feed(verdict(State.OK, number), confirm=1) for number in (1, 2)] == [None, None]
    assert steady.feed(verdict(State.BAD, 3), confirm=1) is None
    assert [bool(steady.feed(verdict(State.OK, number), confirm=1)) for number in (4, 5, 6)] == [False, False, True]


def test_t19_a_probe_that_hangs_is_unknown_after_two_rounds() -> None:
    probe = replace(probes.PROBES["api"], confirm=1)
    board = Board(probes={"api": probe}, vantage="here")
    board.notice("api", [outside(State.OK)])
    assert board.judge(NOW)[0][0].word is Word.OK
    shown, changed = board.judge(NOW + timedelta(seconds=probe.age_seconds + 1))
    assert shown[0].word is Word.UNKNOWN and changed


def test_t2_an_api_that_is_killed_is_critical_within_ten_seconds(healthy: Healthy) -> None:
    told: list[tuple[float, str, Word]] = []
    end, broken = threading.Event(), threading.Event()
    server = healthy.serve(answer=healthy.answer)
    target = healthy.target(server=f"https://127.0.0.1:{server.port}")
    chosen = {"api": replace(probes.PROBES["api"], every_seconds=0.2), "host": probes.PROBES["host"]}
    board = Board(probes=chosen, vantage="here")

    def tell(_verdicts: list[Verdict], changed: list[Verdict], _now: datetime) -> None:
        told.extend((time.monotonic(), each.capability, each.word) for each in changed)
        if not broken.is_set() and ("api", Word.OK) in {(name, word) for _, name, word in told}:
            server._fault = fault_server.RESET
            told.append((time.monotonic(), "killed", Word.OK))
            broken.set()
        if ("api", Word.CRITICAL) in {(name, word) for _, name, word in told}:
            end.set()

    timer = threading.Timer(60, end.set)
    timer.start()
    run_watch(target, chosen, board, tell, interval_seconds=None, end=end)
    timer.cancel()
    killed = next(at for at, name, _ in told if name == "killed")
    critical = next(at for at, name, word in told if (name, word) == ("api", Word.CRITICAL))
    # The figure itself is the bench's: this machine may be busy.
    assert critical - killed < 30


@pytest.mark.parametrize("name", [*probes.PROBES])
def test_a_probe_s_limit_is_within_its_worst_time_to_tell(name: str) -> None:
    probe = probes.PROBES[name]
    assert probe.confirm * probe.every_seconds + probe.limit_seconds <= (120 if probe.deep else 3700)
    if name in ("api", "service"):
        assert probe.confirm == 2 and probe.every_seconds == 2
