"""An `up` that dies in each of its steps, as when the operator's machine loses power; the next one finishes it.

The stack stays for the files that follow, so whatever they assert is true of one that was killed so often.
"""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from kinky import names, retry
from tests.e2e import gate
from tests.e2e.person import UP_SECONDS, Person, wait_for

pytestmark = pytest.mark.host

STEPS = (
    "ClusterRecord",  # 1: the namespace
    "ClusterKeys",  # 2: the key material
    "StoreValue",  # 3 and 4: the store and its canary
    "NodeCredentials",  # 5: what a VM boots with
    "VirtualMachine",  # 5
    "OutsideReady",  # 5
    "Gate",  # 6: the wall
    "NodesReady",  # 7: the other nodes, without a join token
    "StoreCredential",  # 8: External Secrets
    "ExternalSecret",  # 8
    "GateOpened",  # 9
    "WorkloadAnswered",  # 10 and 11; there is no token to end
)
"""The kinds of the resources that are begun when it dies, with the number of the design's step (secrets.md, A3)."""
INSIDE = STEPS[STEPS.index("NodesReady") :]
"""From here on the inner API has answered once, and is asked."""
LASTING = re.compile(r"-pki$|-store-message$|-credentials-")
"""Host Secrets that an `up` makes once; the canary and the store's token change with each proof."""


def test_up_that_is_killed_in_each_step_is_taken_up_by_the_next(person: Person) -> None:
    kept: dict[str, str] = {}
    for step in STEPS:
        kill_up(person, step)
        found = fetch_lasting(person)
        assert kept.items() <= found.items(), f"lost by the death in {step}"
        kept = found
        if step in INSIDE:
            check_closed_or_proved(person)
    person.up()
    assert kept and kept == fetch_lasting(person)
    gate.wait_works(person)
    person.kinky("preview", "--stack", person.stack.stack, "--expect-no-changes", limit_seconds=300)


def fetch_lasting(person: Person) -> dict[str, str]:
    """Return a digest of each host Secret that must not change any more."""
    found = {name: data for name, data in person.host_secrets().items() if LASTING.search(name)}
    return {name: hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest() for name, data in found.items()}


def check_closed_or_proved(person: Person) -> None:
    """Assert that no pod is outside our own namespaces, unless the gate was opened on evidence."""
    wait_for("the inner API", person.show_gate, limit_seconds=300)
    shown = person.show_gate()
    asked = ("get", "pods", "--all-namespaces", "--output", "jsonpath={..metadata.namespace}")
    elsewhere = set(person.kubectl(*asked).split()) - set(names.NAMESPACES_OF_OURS)
    assert shown.startswith("closed ") or (shown.startswith("open since") and shown.count("\nG") == 7)
    assert not elsewhere or shown.startswith("open since")


def kill_up(person: Person, step: str) -> None:
    """Run `up` until it says that it creates a resource of this kind, and kill it there.

    Or of a later kind: what is made side by side may be done when the first of it is seen.
    """
    awaited = STEPS[STEPS.index(step) :]
    log = person.scratch / f"killed-in-{step}.log"
    # Pulumi's own lines tell what has begun, ours what has ended.
    with person.start(log, "up", "--verbose") as up:

        def attempt() -> bool | retry.Pending:
            text = log.read_text(errors="replace")
            if any(f":{each} " in text for each in awaited):
                return True
            assert up.poll() is None, f"up ended before step {step}"
            return retry.Pending("not yet")

        # Some steps last a tenth of a second.
        retry.wait_until(
            attempt, what=f"step {step}", deadline_seconds=UP_SECONDS * person.patience, every_seconds=0.05
        )
