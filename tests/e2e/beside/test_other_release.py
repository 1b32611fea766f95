"""A stack of another release than the default one beside a stack of the default one, on one host.

Skipped where the programs of that release were not built, which takes as long as building Kubernetes does.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kinky import process
from kinky.nodeimage.build import current_node_image
from kinky.releases import list_releases
from kinky.toolchain.tools import load_tools
from tests.e2e.person import KINKY, Person, borrow, is_ready

OTHER = next(release for release in list_releases() if not release.default)
pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(
        not load_tools(OTHER)["kubernetes"].cache.exists(),
        reason=f"no programs of release {OTHER.name}: make image RELEASE={OTHER.name}",
    ),
]

STACK = "local-other"
"""Git knows no stack file of this name, nor of the next."""
NEIGHBOUR = "local-default"
CHOICES = {"kinky:cluster": {"name": STACK, "kubernetesVersion": OTHER.kubernetes_version, "ephemeral": True}}
IMAGE_SECONDS = 900.0


@pytest.fixture(scope="module", autouse=True)
def image(embedded_host: None) -> None:
    """The node image of the release, on the host; nothing is built where its inputs did not change."""
    process.run([KINKY, "image", "build", "--release", OTHER.name], reason="test", timeout_seconds=IMAGE_SECONDS)
    # `host up` would also remove images that the other files have loaded and no object names yet.
    archive = current_node_image(OTHER).archive
    process.run([KINKY, "host", "load", archive], reason="test", timeout_seconds=IMAGE_SECONDS)


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
