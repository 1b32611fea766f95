"""Waiting with a deadline; the only home of tenacity and of sleeping. No deadline, no wait."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import tenacity

from kinky.errors import InterruptedWaitError, KinkyError, WaitError

T = TypeVar("T")

_SHARE = 0.05
"""A pause lasts at most this share of the time waited so far, so that a short wait does not end late."""

_SHORTEST_SECONDS = 0.2

_INTERRUPTED = threading.Event()
"""One-way and for the whole process, because the process ends after it."""


@dataclass(frozen=True)
class Pending:
    """The answer of a check that has to be asked again, with what it saw."""

    seen: str


def wait_until(
    check: Callable[[], T | Pending],
    *,
    what: str,
    deadline_seconds: float,
    every_seconds: float = 2.0,
    hint: str | None = None,
    on_change: Callable[[str], None] | None = None,
    tolerate: tuple[type[Exception], ...] = (),
) -> T:
    """Ask until the check answers something other than `Pending`, and return that.

    Args:
        check: Returns `Pending` to go on; raises `KinkyError` to stop early; anything else is the result.
        what: The condition in words, as it shall stand in the error.
        every_seconds: The longest pause between two checks; the first ones follow sooner.
        on_change: Called with what was seen, each time it differs from before.
        tolerate: Exceptions of the check that count as pending, such as a refused connection.

    Raises:
        WaitError: The deadline passed; it tells what was last seen.
    """
    seen: list[str] = []

    def attempt() -> T | Pending:
        answer = _ask(check, tolerate)
        if isinstance(answer, Pending) and seen[-1:] != [answer.seen]:
            seen[:] = [answer.seen]
            if on_change is not None:
                on_change(answer.seen)
        return answer

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda answer: isinstance(answer, Pending)),
        wait=_wait_within(every_seconds, deadline_seconds),
        stop=tenacity.stop_after_delay(deadline_seconds),
        sleep=pause,
    )
    try:
        return cast(T, retrying(attempt))
    except tenacity.RetryError as error:
        raise WaitError(
            f"{what}: not met in {deadline_seconds:.0f} s",
            details=[f"last seen: {''.join(seen) or 'nothing'}"],
            hint=hint,
        ) from error


def pause(seconds: float) -> None:
    """Sleep; here so that tests can replace every sleep of KinKy at one place.

    Raises:
        InterruptedWaitError: The user asked for an end with Ctrl-C.
    """
    time.sleep(seconds)
    if _INTERRUPTED.is_set():
        raise InterruptedWaitError(
            "interrupted while waiting", hint="the next pulumi up or pulumi destroy goes on from here"
        )


def interrupt_waits() -> None:
    """End every wait of this process, now and later; for a process that was told to end and cannot see Ctrl-C."""
    _INTERRUPTED.set()


def _ask(check: Callable[[], T | Pending], tolerate: tuple[type[Exception], ...]) -> T | Pending:
    """Run the check once; a tolerated exception becomes `Pending`, except that a fatal `KinkyError` stays fatal."""
    try:
        return check()
    except tolerate as error:
        if isinstance(error, KinkyError) and not any(issubclass(kind, KinkyError) for kind in tolerate):
            raise
        return Pending(_describe(error))


def _describe(error: Exception) -> str:
    """Describe an error; for a library's, only its class and the system's reason: its text may quote anything."""
    name = type(error).__name__
    if isinstance(error, KinkyError):
        return f"{name}: {error}"
    return f"{name}: {os.strerror(error.errno)}" if isinstance(error, OSError) and error.errno else name


def _wait_within(every_seconds: float, deadline_seconds: float) -> Callable[[tenacity.RetryCallState], float]:
    """Return tenacity's wait: shorter at the beginning, and so that the last check happens at the deadline."""

    def seconds(state: tenacity.RetryCallState) -> float:
        elapsed = state.seconds_since_start or 0.0
        return max(0.0, min(every_seconds, max(_SHORTEST_SECONDS, _SHARE * elapsed), deadline_seconds - elapsed))

    return seconds
