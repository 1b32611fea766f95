"""Waiting, with a clock that only sleeping moves."""

import errno
import threading
from collections.abc import Callable

import pytest

from kinky import retry
from kinky.errors import HostError, InterruptedWaitError, WaitError
from kinky.retry import Pending, wait_until


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retry.time, "sleep", clock.sleep)
    monkeypatch.setattr(retry.time, "monotonic", lambda: clock.now)
    return clock


def answers(*given: object) -> Callable[[], object]:
    rest = list(given)

    def check() -> object:
        answer = rest.pop(0) if len(rest) > 1 else rest[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return check


def test_the_answer_comes_back_and_only_changes_are_told(clock: Clock) -> None:
    seen: list[str] = []
    check = answers(Pending("starting"), Pending("starting"), Pending("almost"), "done")
    assert wait_until(check, what="it is there", deadline_seconds=60, on_change=seen.append) == "done"
    assert seen == ["starting", "almost"]
    assert clock.sleeps == [0.2, 0.2, 0.2]


@pytest.mark.parametrize("answer", [None, False, 0, ""])
def test_an_empty_answer_is_an_answer(clock: Clock, answer: object) -> None:
    assert wait_until(lambda: answer, what="it is there", deadline_seconds=1) == answer
    assert clock.sleeps == []


def test_the_deadline_tells_what_was_last_seen(clock: Clock) -> None:
    with pytest.raises(WaitError) as caught:
        wait_until(
            answers(Pending("VMI Pending"), Pending("VMI Running")),
            what="node is Ready",
            deadline_seconds=7,
            hint="look",
        )
    assert str(caught.value) == "node is Ready: not met in 7 s\n  last seen: VMI Running\nhint: look"
    assert clock.now == 1007.0, "the last check happens at the deadline, neither before nor after it"


def test_a_fatal_error_ends_the_wait_at_once(clock: Clock) -> None:
    with pytest.raises(HostError, match="gone"):
        wait_until(answers(Pending("starting"), HostError("gone")), what="it is there", deadline_seconds=60)
    assert clock.sleeps == [0.2]


def test_a_tolerated_error_is_pending_and_another_is_not(clock: Clock) -> None:
    check = answers(ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "done")
    assert wait_until(check, what="it is there", deadline_seconds=60, tolerate=(OSError,)) == "done"
    with pytest.raises(ValueError, match="broken"):
        wait_until(answers(ValueError("broken")), what="it is there", deadline_seconds=60, tolerate=(OSError,))


def test_a_tolerated_error_is_what_was_last_seen(clock: Clock) -> None:
    check = answers(ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
    with pytest.raises(WaitError, match="last seen: ConnectionRefusedError: Connection refused"):
        wait_until(check, what="it is there", deadline_seconds=4, tolerate=(OSError,))


def test_tolerating_everything_does_not_swallow_a_fatal_error(clock: Clock) -> None:
    with pytest.raises(HostError, match="gone"):
        wait_until(answers(HostError("gone")), what="it is there", deadline_seconds=60, tolerate=(Exception,))
    check = answers(HostError("not yet"), "done")
    assert wait_until(check, what="it is there", deadline_seconds=60, tolerate=(HostError,)) == "done"


def test_pauses_grow_with_the_wait_up_to_the_interval_of_the_caller(clock: Clock) -> None:
    started = clock.now
    with pytest.raises(WaitError):
        wait_until(answers(Pending("a")), what="it is there", deadline_seconds=60, every_seconds=0.5)
    assert clock.sleeps[0] == 0.2
    assert clock.sleeps == sorted(clock.sleeps[:-1]) + clock.sleeps[-1:], "only the last one is cut by the deadline"
    assert max(clock.sleeps) == 0.5
    assert clock.now == started + 60


def test_an_interrupted_process_waits_no_more(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_INTERRUPTED", threading.Event())
    retry.interrupt_waits()
    with pytest.raises(InterruptedWaitError, match="interrupted"):
        wait_until(lambda: Pending("starting"), what="it is there", deadline_seconds=60)
