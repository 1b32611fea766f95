"""Where a node stands, and whether that is slow or stuck by the boots of its host."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinky import names
from kinky.accelerator import Accelerator
from kinky.forming.climbs import FIRST_WORD, INSTANCE, NOT_READY, READY, RUNGS, Standing, find_moments
from kinky.forming.diagnose import parse_stages
from kinky.forming.pace import NOISE_SECONDS, STUCK_FLOOR_SECONDS, STUCK_TIMES, Pace, Word, find_pace, judge
from kinky.why import ladder
from tests.unit.climbs_of import STEP, at, boots, climb
from tests.unit.why.facts_of import stages

every_role = pytest.mark.parametrize("role", names.ROLES)
LENGTHS = st.floats(min_value=0, max_value=1e5)
RANK = {None: 0, Word.SLOW: 1, Word.STUCK: 2}


@every_role
def test_rungs_with_a_moment_are_rungs_of_the_ladder_in_its_order(role: str) -> None:
    order = [name for name, _ in ladder.RUNGS]
    places = [order.index(rung) for rung, _ in RUNGS[role]]
    assert places == sorted(places)


@every_role
def test_a_whole_boot_tells_the_seconds_of_each_rung_and_stands_nowhere(role: str) -> None:
    assert climb(role=role).seconds == {rung: STEP for rung, _ in RUNGS[role]}
    assert climb(role=role).stand(at(1e6)) is None


@every_role
def test_a_node_that_climbs_stands_below_the_first_rung_without_a_moment(role: str) -> None:
    for height, (rung, _) in enumerate(RUNGS[role]):
        found = climb(role=role, height=height).stand(at(STEP * height + 7))
        assert found == Standing(rung, 7, 7)


def test_a_stage_between_two_rungs_is_progress() -> None:
    node = climb(role=names.CONTROL_PLANE, height=7)
    node = replace(node, moments={**node.moments, "certs": at(100)})
    assert node.stand(at(120)) == Standing("API reachable", 50, 20)


def test_without_its_console_nobody_knows_where_a_guest_stands() -> None:
    guest = next(height for height, (rung, _) in enumerate(RUNGS[names.WORKER]) if rung == "guest kernel")
    assert climb(height=guest, console=False).stand(at(1e6)) is None
    assert climb(height=guest - 1, console=False).stand(at(1e6)) is not None
    whole = climb(console=False)
    gap = replace(whole, moments={key: when for key, when in whole.moments.items() if key not in (FIRST_WORD, READY)})
    assert gap.stand(at(1e6)) is None and "guest kernel" not in gap.seconds and "data disk" not in gap.seconds


def test_a_node_of_an_earlier_boot_is_not_registered_in_this_one() -> None:
    node = climb(height=3)
    node = replace(node, moments={**node.moments, "registered": at(-500), READY: at(-400)})
    assert node.stand(at(35)) == Standing("launcher", 5, 5)
    again = replace(climb(), moments={**climb().moments, INSTANCE: at(1000)})
    assert not {"registered", "Ready"} & again.seconds.keys()


def test_a_node_that_fell_stands_since_its_fall() -> None:
    node = climb(height=len(RUNGS[names.WORKER]) - 1)
    node = replace(node, moments={**node.moments, NOT_READY: at(5000)})
    assert node.stand(at(5012)) == Standing("Ready", 12, 12)


def test_stages_of_a_guest_count_from_the_start_of_its_instance() -> None:
    times = {"running": "2026-12-01T06:00:30Z", "ready": ""}
    found = find_moments(times, stages("kernel", "user-data", failed="etcd-disk", text="none"))
    assert found == {"running": at(30), "first word": at(31), "kernel": at(31), "user-data": at(32)}
    assert find_moments({}, stages("kernel")) == {}


def test_a_guest_that_booted_again_has_not_reached_its_stages_earlier_than_it_could() -> None:
    console = "kinky: stage kernel 2.0\nkinky: stage clock 90.0\nkinky: stage kernel 2.0\nkinky: stage user-data 7.0\n"
    found = find_moments({"running": "2026-12-01T06:00:00Z"}, parse_stages(console))
    assert found == {"running": at(0), "kernel": at(92), "user-data": at(97), "first word": at(92)}


def test_a_container_has_no_kernel_of_its_own_and_its_first_word_is_a_later_stage() -> None:
    times = {"VM": "2026-12-01T06:00:00Z", "instance": "2026-12-01T06:00:01Z", "placed": "2026-12-01T06:00:01Z"}
    times |= {"scheduled": "2026-12-01T06:00:03Z", "running": "2026-12-01T06:00:04Z"}
    node = replace(climb(height=0), moments=find_moments(times, stages("data-disk", "user-data")))
    assert node.seconds["guest kernel"] == node.seconds["data disk"] == 1.0
    assert node.stand(at(10)) == Standing("credentials", 4, 4)


def test_slow_and_stuck_are_told_with_the_usual_time() -> None:
    node = climb(height=5)
    known = boots(12.0)
    assert find_pace(node, known, at(50 + 22)) is None
    slow = find_pace(node, known, at(50 + 23))
    assert slow and slow.sentence == "slow: 23 s on the way to data disk; this host usually takes 12 s"
    stuck = find_pace(node, known, at(50 + 61))
    assert stuck and stuck.sentence == "stuck: no progress to data disk for 61 s; this host usually takes 12 s"


def test_without_boots_of_its_kind_nothing_is_said() -> None:
    node, late = climb(height=5), at(1e5)
    assert find_pace(node, (), late) is None
    assert find_pace(node, boots(12.0, rung="gate"), late) is None
    assert find_pace(node, boots(12.0, role=names.CONTROL_PLANE), late) is None
    assert find_pace(replace(node, accelerator=Accelerator.KVM), boots(12.0), late) is None


def test_one_boot_of_many_does_not_decide_what_is_usual() -> None:
    node, known = climb(height=5), boots(*[10.0] * 18, 900.0, 0.1)
    found = find_pace(node, known, at(50 + 100))
    assert found == Pace(Word.STUCK, "data disk", 100, 10.0)


@given(LENGTHS, LENGTHS, LENGTHS, LENGTHS)
def test_more_time_never_makes_it_better(usual: float, still: float, more: float, slower: float) -> None:
    now = judge(Standing("gate", still + more, still), usual)
    later = judge(Standing("gate", still + more + slower, still + slower), usual)
    assert RANK[now and now.word] <= RANK[later and later.word]


@given(LENGTHS, LENGTHS, LENGTHS)
def test_the_limits_are_those_that_are_told(usual: float, still: float, more: float) -> None:
    found = judge(Standing("gate", still + more, still), usual)
    if still > STUCK_TIMES * usual and still > STUCK_FLOOR_SECONDS:
        assert found == Pace(Word.STUCK, "gate", still, usual)
    elif still + more > usual + NOISE_SECONDS:
        assert found == Pace(Word.SLOW, "gate", still + more, usual)
    else:
        assert found is None
