"""A stack of another release than the default one beside a stack of the default one, on one host.

Skipped where no image of that release was built: `make image RELEASE=v1.35` takes as long as building Kubernetes does.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kinky import paths
from kinky.releases import list_releases
from tests.e2e.person import Person, borrow, is_ready

OTHER = next(release for release in list_releases() if not release.default)
pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(
        not paths.current_node_image(OTHER.name).exists(),
        reason=f"no node image of release {OTHER.name}: make image RELEASE={OTHER.name}",
    ),
]

STACK = "local-other"
"""Git knows no stack file of this name, nor of the next."""
NEIGHBOUR = "local-default"
CHOICES = {"kinky:cluster": {"name": STACK, "kubernetesVersion": OTHER.kubernetes_version, "ephemeral": True}}


@pytest.fixture(scope="module")
def neighbour(embedded_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The person of a stack of the default release."""
    changes = {"kinky:cluster": {"name": NEIGHBOUR, "ephemeral": True}}
    with borrow(NEIGHBOUR, base="dev", scratch=tmp_path_factory.mktemp(NEIGHBOUR), changes=changes) as someone:
        yield someone


def test_both_come_up_and_run_at_once(owner: Person, neighbour: Person) -> None:
    for someone in (neighbour, owner):
        someone.up()
    for someone in (neighbour, owner):
        nodes = someone.nodes().values()
        assert all(map(is_ready, nodes))
        seen = {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}
        assert seen == {someone.stack.config.cluster.kubernetes_version}
        assert someone.show_gate().startswith("open since")
        used = someone.kubectl("get", "pods", "--all-namespaces", "--output", "jsonpath={.items[*].spec..image}")
        assert set(used.split()) <= set(someone.stack.config.release.system_images.values())
    versions = {someone.stack.config.cluster.kubernetes_version for someone in (owner, neighbour)}
    assert len(versions) == 2


def test_pulumi_has_nothing_to_change_and_the_end_leaves_nothing(owner: Person, neighbour: Person) -> None:
    for someone, stack in ((owner, STACK), (neighbour, NEIGHBOUR)):
        someone.kinky("preview", "--stack", stack, "--expect-no-changes", limit_seconds=300)
        someone.destroy()
        assert someone.left_on_host() == set()
