"""What the tests of rotations share: a key is rotated, or that is killed on the way, and what the cluster says then."""

from __future__ import annotations

import json
from typing import Any

from kinky import names
from kinky.rotation.items import ITEMS
from tests.e2e.person import Person, wait_for

ROTATION_SECONDS = 1800.0
"""Three rounds over up to three control planes, each of which takes half a minute on a quiet machine."""


def check_rotation(person: Person, item: str, *options: str) -> None:
    """Rotate a key though it is killed on the way, and assert that nothing of it is as before.

    Args:
        options: What the last call is given besides, which runs to the end.
    """
    before = fetch_keys(person, item)
    for reached in ITEMS[item].rounds:
        rotate_killed(person, item, reached)
    rotate(person, item, *options)
    after = fetch_keys(person, item)
    assert before and after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())


def check_encryption_key(person: Person) -> None:
    """Rotate the encryption key though it is killed in each round, and assert that no Secret is lost."""
    item = "encryption-key"
    (before,) = fetch_keys(person, item).values()
    secrets = read_secrets(person)
    rounds = ITEMS[item].rounds
    for reached in rounds:
        rotate_killed(person, item, reached)
        keys = fetch_keys(person, item)
        assert len(keys) == (1 if reached == rounds[-1] else 2), (
            "the old key goes only after every Secret was rewritten"
        )
    rotate(person, item)
    (after,) = fetch_keys(person, item).values()
    assert after != before
    assert secrets.items() <= read_secrets(person).items()


def rotate(person: Person, item: str, *options: str) -> None:
    """Rotate a key to the end, and look that nothing is in progress."""
    person.kinky("rotate", item, "--stack", person.stack.stack, *options, limit_seconds=ROTATION_SECONDS)
    status = fetch_status(person, item)
    assert status["finishedAt"] and not status["inProgress"]


def rotate_killed(person: Person, item: str, reached: str) -> None:
    """Begin to rotate a key, or go on, and kill that in the sub-step whose name begins like this."""
    with person.start(person.scratch / "killed.log", "rotate", item) as running:

        def is_reached() -> bool:
            assert running.poll() is None, f"the rotation has ended, and sub-step {reached} was not seen"
            return fetch_step(person, item).startswith(reached)

        wait_for(f"sub-step {reached}", is_reached, limit_seconds=ROTATION_SECONDS)


def fetch_status(person: Person, item: str) -> dict[str, Any]:
    """Return what `kinky rotate status` says of an item."""
    rows = json.loads(person.kinky("rotate", "status", "--stack", person.stack.stack, "--json"))
    return next(row for row in rows if row["item"] == item)


def fetch_keys(person: Person, item: str) -> dict[str, str]:
    """Return the fingerprints of an item's keys, by where they are."""
    return {key["subject"]: key["fingerprint"] for key in fetch_status(person, item)["keys"]}


def fetch_step(person: Person, item: str) -> str:
    """Return the sub-step that the record on the host names; empty before the first one."""
    record = names.operations_record(person.stack.cluster)
    body = json.loads(person.host("get", "configmap", record, "--output", "json"))
    return str(json.loads(body["data"].get(ITEMS[item].operation.key, "{}")).get("step", ""))


def read_secrets(person: Person) -> dict[str, str]:
    """Return the identity of each inner Secret that can be read, with a digest of nothing but its keys."""
    found: dict[str, str] = {}

    def read() -> bool:
        for body in json.loads(person.kubectl("get", "secrets", "--all-namespaces", "--output", "json"))["items"]:
            found[body["metadata"]["uid"]] = ",".join(sorted(body.get("data") or {}))
        return bool(found)

    wait_for("the inner Secrets", read, limit_seconds=600)
    return found
