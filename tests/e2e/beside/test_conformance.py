"""What any other cluster can do: a part of Kubernetes' own suite, and every port of a node.

`make conformance` runs the whole suite, by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conformance import plan
from tests.conformance.report import PASSED, list_failures
from tests.conformance.runner import Suite
from tests.e2e import guests, node_ports
from tests.e2e.person import Person

pytestmark = pytest.mark.host

STACK = "local-conformant"
"""Git knows no stack file of this name."""
CHOICES = {**plan.CHOICES, "kinky:access": {"nodePorts": [f"{node_ports.PUBLISHED}-{node_ports.PUBLISHED_UDP}"]}}


@pytest.fixture(scope="module")
def suite(owner: Person) -> Iterator[Suite]:
    """The suite, whose images the cluster's nodes have."""
    owner.up()
    yield plan.prepare(owner, owner.scratch)


def test_a_part_of_the_conformance_suite_passes(suite: Suite) -> None:
    results = plan.run_part(suite)
    ran = [each.name for each in results]
    assert [line for line in plan.read_part() if not any(re.search(line, name) for name in ran)] == []
    assert all(each.state == PASSED for each in results), list_failures(results)


def test_pods_and_nodes_reach_every_port_of_each_node(owner: Person, suite: Suite) -> None:
    node_ports.prepare(owner, suite.find_image("agnhost"), server=owner.worker)
    node_ports.check_everywhere(owner, server=owner.worker)


def test_the_host_reaches_published_ports_only(owner: Person, suite: Suite) -> None:
    for node, address in node_ports.addresses(owner).items():
        for port, udp in ((node_ports.PUBLISHED, False), (node_ports.PUBLISHED_UDP, True)):
            assert "server" in node_ports.ask_from_host_pod(owner, address, port, udp=udp), node
        assert "server" not in node_ports.ask_from_host_pod(owner, address, node_ports.INNER)
        assert "server" in node_ports.ask_from_machine(owner, node, node_ports.PUBLISHED)


def test_ports_answer_again_when_the_node_of_the_server_was_replaced(owner: Person, suite: Suite) -> None:
    owner.replace(owner.worker)
    plan.load(owner, suite, "--node", owner.worker)
    node_ports.wait_ready(owner)
    node_ports.check_everywhere(owner, server=owner.worker)


def test_ports_answer_when_the_network_is_configured_again(owner: Person, suite: Suite) -> None:
    """networkd used to remove the rules that lead to other nodes: on a busy host it was done with eth0 after them."""
    guests.run(owner, owner.worker, "networkctl reconfigure eth0")
    node_ports.check_everywhere(owner, server=owner.worker)
    rules = guests.run(owner, owner.worker, "ip rule")
    assert rules.count("\n76:") == 4 and "\n77:" in rules, rules


def test_the_end_leaves_nothing_on_the_host(owner: Person) -> None:
    owner.destroy()
    assert owner.left_on_host() == set()
