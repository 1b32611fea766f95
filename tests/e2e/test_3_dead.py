"""Destroy while the inner cluster is dead: teardown must not need the inner API."""

from __future__ import annotations

import json

import pytest

from kinky import names
from kinky.topology.nodes import build_nodes
from tests.e2e.person import Person, wait_for

pytestmark = pytest.mark.host


def test_destroy_with_a_dead_inner_cluster(person: Person) -> None:
    person.up()
    for node in build_nodes(person.stack.config):
        if node.role == names.CONTROL_PLANE:
            halted = json.dumps({"spec": {"runStrategy": "Halted"}})
            person.host("patch", "virtualmachine", node.name, "--type", "merge", "--patch", halted)
            wait_for(f"{node.name} off", lambda name=node.name: not person.vmi_uid(name), limit_seconds=300)
    person.destroy()
    assert person.left_on_host() == set()
