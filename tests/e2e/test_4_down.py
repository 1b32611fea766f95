"""`make down`: the machine is as it was before."""

from __future__ import annotations

import pytest

from tests.e2e.person import Person, machine_lists

pytestmark = pytest.mark.host


def test_down_leaves_the_machine_as_it_was(person: Person, lists_before: dict[str, set[str]]) -> None:
    person.kinky("down", limit_seconds=900)
    after = machine_lists()
    left = {kind: after[kind] - before for kind, before in lists_before.items()}
    assert not any(left.values()), left
