"""Work side by side, each part with its own limit: a part that hangs delays no other and outlives its limit alone."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Job(Generic[T]):
    """One part: the work, and the seconds after which nobody waits for it."""

    work: Callable[[], T]
    limit_seconds: float
    late: Callable[[], T]
    """Returns what counts when the limit has passed."""
    failed: Callable[[Exception], T]
    """Returns what counts when the work has raised an exception."""


def run_side_by_side(jobs: Mapping[str, Job[T]]) -> dict[str, T]:
    """Run all jobs at once and return what each has found, in the order of the jobs.

    The threads are daemons: a process that has its answer ends, whatever still hangs.
    """
    found: queue.SimpleQueue[tuple[str, T]] = queue.SimpleQueue()

    def run(name: str, job: Job[T]) -> None:
        try:
            answer = job.work()
        except Exception as error:
            answer = job.failed(error)
        found.put((name, answer))

    started = time.monotonic()
    for name, job in jobs.items():
        threading.Thread(target=run, args=(name, job), name=f"probe {name}", daemon=True).start()
    answers: dict[str, T] = {}
    ends = {name: started + job.limit_seconds for name, job in jobs.items()}
    while len(answers) < len(jobs):
        left = min(end for name, end in ends.items() if name not in answers) - time.monotonic()
        try:
            name, answer = found.get(timeout=max(left, 0.0)) if left > 0 else found.get_nowait()
            answers.setdefault(name, answer)
        except queue.Empty:
            now = time.monotonic()
            for name, end in ends.items():
                if name not in answers and end <= now:
                    answers[name] = jobs[name].late()
    return {name: answers[name] for name in jobs}
