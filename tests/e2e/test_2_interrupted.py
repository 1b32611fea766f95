"""Ctrl-C in the middle of `up`: destroy cleans up, and the next `up` goes on."""

from __future__ import annotations

import os
import signal

import pytest

from kinky import process
from kinky.errors import WaitError
from tests.e2e.person import KINKY, Person, wait_for

pytestmark = pytest.mark.host

FINISH_SECONDS = 120.0
"""How long Pulumi may take to finish its running steps after the first Ctrl-C; then the person presses it again."""


def test_destroy_of_a_half_built_stack(person: Person) -> None:
    _interrupt_up(person)
    person.destroy()
    assert person.left_on_host() == set()


def test_up_goes_on_after_an_interruption(person: Person) -> None:
    _interrupt_up(person)
    person.up()
    assert person.nodes()


def _interrupt_up(person: Person) -> None:
    """Start `up`, press Ctrl-C when its VMs exist, and wait for its end."""
    pid = person.start_up()
    wait_for("the first VM", lambda: person.host("get", "virtualmachines", "--output", "name"), limit_seconds=300)
    for _ in range(2):
        os.kill(pid, signal.SIGINT)
        try:
            wait_for("the end of up", lambda: _is_over(pid), limit_seconds=FINISH_SECONDS)
        except WaitError:
            continue
        return
    raise AssertionError("up goes on after two interrupts")


def _is_over(pid: int) -> bool:
    return not process.is_alive(pid, expect=KINKY.name)
