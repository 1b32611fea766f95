"""An `up` that dies in each of its steps, as when the operator's machine loses power: `make e2e-slow`."""

from __future__ import annotations

import pytest

from kinky import retry
from tests.e2e import gate
from tests.e2e.person import SCAN_SECONDS, UP_SECONDS, Person

pytestmark = [pytest.mark.host, pytest.mark.slow_rotation]

STEPS = (
    "Claim",
    "ClusterKeys",
    "StoreValue",
    "NodeCredentials",
    "VirtualMachine",
    "OutsideReady",
    "Gate",
    "NodesReady",
    "StoreCredential",
    "ExternalSecret",
    "GateOpened",
    "WorkloadAnswered",
)
"""The kinds of the resources that are begun when it dies, in the order of the story."""


def test_up_that_is_killed_in_each_step_is_taken_up_by_the_next(person: Person) -> None:
    for step in STEPS:
        kill_up(person, step)
    person.up()
    gate.wait_works(person)
    person.kinky("preview", "--stack", person.stack.stack, "--expect-no-changes", limit_seconds=300)


def test_what_was_printed_until_it_died_holds_no_secret(person: Person) -> None:
    printed = [str(log) for log in sorted(person.scratch.glob("*.log"))]
    person.kinky("scan", "--stack", person.stack.stack, *printed, limit_seconds=SCAN_SECONDS)


def test_the_end_leaves_nothing_on_the_host_though_it_was_killed(person: Person) -> None:
    person.destroy()
    assert person.left_on_host() == set()


def kill_up(person: Person, step: str) -> None:
    """Run `up` until it says that it creates a resource of this kind, and kill it there."""
    log = person.scratch / f"killed-in-{step}.log"
    with person.start(log, "up") as up:

        def attempt() -> bool | retry.Pending:
            if f":{step} " in log.read_text(errors="replace"):
                return True
            assert up.poll() is None, f"up ended before step {step}"
            return retry.Pending("not yet")

        # Some steps last a tenth of a second.
        retry.wait_until(attempt, what=f"step {step}", deadline_seconds=UP_SECONDS, every_seconds=0.05)
