"""Three control planes: they form one cluster, and each of them dies once while the API stays.

`soak/test_three_rotations.py` rotates their keys.
"""

from __future__ import annotations

import json

import pytest

from kinky.topology.nodes import build_nodes, control_planes
from tests.e2e.person import THREE_PLANES, Person, is_ready, wait_for

pytestmark = pytest.mark.host

STACK = "local-three"
"""Git knows no stack file of this name."""
CHOICES = THREE_PLANES
READY = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
READY_SECONDS = 120.0
ANSWER_SECONDS = 180.0
"""The forward finds another member after the host has noticed that one is gone."""


def test_three_control_planes_form_one_cluster(owner: Person) -> None:
    owner.up()
    assert sorted(owner.nodes()) == sorted(node.name for node in build_nodes(owner.stack.config))
    assert all(map(is_ready, owner.nodes().values()))
    assert owner.show_gate().startswith("open since")
    owner.kinky("preview", "--stack", STACK, "--expect-no-changes", limit_seconds=300)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_dies_and_the_api_stays(owner: Person, place: int) -> None:
    node = control_planes(build_nodes(owner.stack.config))[place].name
    note = f"before-{place}"
    owner.kubectl("create", "configmap", note, "--namespace", "default")
    boot = owner.boot_id(node)
    owner.delete_instance(node)
    wait_for("the other members' API", lambda: note in read_notes(owner), limit_seconds=ANSWER_SECONDS)
    owner.wait_booted(node, boot)
    shown = ("get", "virtualmachineinstance", node, "--output", READY)
    wait_for(f"the API server of {node}", lambda: owner.host(*shown) == "True", limit_seconds=READY_SECONDS)


def test_pulumi_has_nothing_to_change_afterwards_and_the_end_leaves_nothing(owner: Person) -> None:
    owner.kinky("preview", "--stack", STACK, "--expect-no-changes", limit_seconds=300)
    owner.destroy()
    assert owner.left_on_host() == set()


def read_notes(owner: Person) -> set[str]:
    """Return the names of the ConfigMaps in the namespace that nobody else writes to."""
    listed = json.loads(owner.kubectl("get", "configmaps", "--namespace", "default", "--output", "json"))["items"]
    return {body["metadata"]["name"] for body in listed}
