"""An operation as data: sub-steps in order, and the one loop that runs those that are not done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kinky.operations.journal import Journal
from kinky.progress import Phase, note, phase


@dataclass(frozen=True, kw_only=True)
class NotYet:
    """The answer of a sub-step that must not be done before some time."""

    until: str
    """Time in RFC 3339."""
    why: str


@dataclass(frozen=True, kw_only=True)
class SubStep:
    """One part of an operation that is done as a whole or again; what it finds done already it leaves."""

    name: str
    title: str
    run: Callable[[Phase], str | NotYet]
    """Returns what proves that it is done."""
    restarts: str = ""
    """Node whose VM instance is replaced, if one is."""
    limit_seconds: float | None = None
    """How long it may wait; None when it waits for nothing but the answers to its calls."""


def run_steps(journal: Journal, steps: Sequence[SubStep]) -> bool:
    """Run the sub-steps that are not done; False when the operation has to wait for a time that has not come.

    Raises:
        KinkyError: Another operation is in progress, or a sub-step failed; the next call continues with it.
    """
    progress = journal.read()
    journal.start()
    if progress.is_started:
        note(f"continuing {journal.operation.command}, which was started at {progress.started_at}")
    for step in steps:
        if step.name in journal.progress.done:
            continue
        journal.enter(step.name)
        with phase(step.title, limit_seconds=step.limit_seconds) as running:
            found = step.run(running)
            if not isinstance(found, NotYet):
                running.note(found)
        if isinstance(found, NotYet):
            journal.wait(found.until)
            note(found.why)
            return False
        journal.leave(step.name)
    journal.finish()
    return True


def describe_steps(journal: Journal, steps: Sequence[SubStep]) -> list[str]:
    """Describe what `run_steps` would do, one line each, with the nodes that restart in their order."""
    progress = journal.read()
    lines = [f"continues what was started at {progress.started_at}"] if progress.is_started else []
    lines += [f"nothing to do before {progress.waits_until}"] if progress.waits_until else []
    for number, step in enumerate(steps, start=1):
        done = "done already: " if step.name in progress.done else ""
        restart = f"  (restarts {step.restarts})" if step.restarts else ""
        lines.append(f"{number:>2}. {done}{step.title}{restart}")
    left = [step.restarts for step in steps if step.restarts and step.name not in progress.done]
    return [*lines, f"restarts, one at a time, in this order: {', '.join(left)}" if left else "restarts no node"]
