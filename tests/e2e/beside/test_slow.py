"""A node that stands still while it boots: `up`, which waits for it, and `why` call it stuck until it goes on."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from typing import Any

import pytest

from kinky import names
from kinky.errors import CommandError
from kinky.forming.boots import Boot, read_boots
from kinky.forming.pace import STUCK_FLOOR_SECONDS, STUCK_TIMES
from kinky.reach.host import find_host
from tests.e2e import guests
from tests.e2e.person import UP_SECONDS, Person, wait_for

pytestmark = pytest.mark.host

STACK = "local-slow"
"""Git knows no stack file of this name."""
CHOICES = {"kinky:cluster": {"name": STACK, "ephemeral": True}, "kinky:workload": {"enabled": False}}
START_SECONDS = 180.0
STUCK_SECONDS = 300.0
"""A minute until the word, a look every 15 s, and a machine that does other things too."""


def explain(owner: Person) -> dict[str, Any]:
    """Return what `kinky why` says of the worker."""
    found: dict[str, Any] = json.loads(owner.ask("why", owner.worker, "--json"))[0]
    return found


def read_own(owner: Person) -> dict[str, Boot]:
    """Return the boots that this machine keeps of the stack's nodes, by node."""
    kept = {boot.boot: boot for boot in read_boots(find_host(owner.stack.config))}
    instances = {node: owner.vmi_uid(node) for node in (owner.control_plane, owner.worker)}
    return {node: kept[uid] for node, uid in instances.items() if uid in kept}


def find_init(owner: Person) -> int:
    """Return the first process of the worker's guest; 0 while there is none."""
    with suppress(CommandError, ValueError):
        return guests.find_init(owner, owner.worker)
    return 0


def test_an_up_keeps_how_long_each_rung_took(owner: Person) -> None:
    owner.up()
    kept = read_own(owner)
    assert {node: boot.role for node, boot in kept.items()} == {
        owner.control_plane: names.CONTROL_PLANE,
        owner.worker: names.WORKER,
    }
    for boot in kept.values():
        assert boot.accelerator == "container"
        assert {
            "launcher",
            "guest kernel",
            "credentials",
            "API reachable",
            "registered",
            "Ready",
        } <= boot.seconds.keys()
    found = explain(owner)
    assert (found["missing"], found["pace"]) == ("", None)


def test_a_worker_that_is_frozen_while_up_waits_is_stuck_and_goes_on_when_it_can(owner: Person) -> None:
    owner.destroy()
    log = owner.scratch / "frozen.log"
    with owner.start(log, "up") as running:
        init = wait_for_init(owner)
        os.kill(init, signal.SIGSTOP)
        try:
            wait_for(
                "up says stuck", lambda: f"{owner.worker} is stuck" in log.read_text(), limit_seconds=STUCK_SECONDS
            )
            pace = explain(owner)["pace"]
        finally:
            os.kill(init, signal.SIGCONT)
        assert running.wait(UP_SECONDS * owner.patience) == 0, log.read_text()[-2000:]
    assert pace["word"] == "stuck"
    assert pace["seconds"] > max(STUCK_FLOOR_SECONDS, STUCK_TIMES * pace["usual_seconds"])
    assert f"no progress to {pace['rung']} for" in log.read_text()
    assert explain(owner)["pace"] is None


def wait_for_init(owner: Person) -> int:
    """Wait until the worker's guest has started, and return its first process."""
    found: list[int] = []

    def look() -> bool:
        found[:] = [find_init(owner)]
        return bool(found[0])

    wait_for("the worker's guest", look, limit_seconds=START_SECONDS)
    return found[0]


def test_the_end_leaves_nothing(owner: Person) -> None:
    owner.destroy()
    assert owner.left_on_host() == set()
