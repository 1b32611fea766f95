"""A user without root on a host cluster that is somebody else's: the image's name in a registry is all they have."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from kinky.artefacts.registry import push
from kinky.nodeimage.build import current_node_image
from kinky.nodeimage.containerdisk import write_containerdisk
from kinky.nodeimage.index import list_records, read_archive
from kinky.releases import default_release
from kinky.toolchain.tools import list_tools, tool_path
from tests.api.server import find_port
from tests.e2e.account import KUBECONFIG, Account, lend_account
from tests.e2e.person import Person

pytestmark = pytest.mark.host

STACK = "local-own-cluster"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Push an image with the real record and a disk of a few bytes: nobody who previews reads the disk."""
    folder = tmp_path_factory.mktemp("registry")
    built = current_node_image(default_release())
    record, _ = read_archive(built.archive, reference=built.reference)
    (folder / "disk").write_bytes(b"QFI\xfb")
    crane, address = tool_path("crane"), f"127.0.0.1:{find_port()}"
    name = f"{address}/kinky/node:v1"
    write_containerdisk(
        folder / "image.tar",
        disk=folder / "disk",
        record=record,
        reference=name,
        version=built.kubernetes_version,
        content_hash=str(json.loads(record)["contentHash"]),
    )
    command: list[str | Path] = [crane, "registry", "serve", "--address", address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            assert "serving" in running.stderr.readline()
            push(folder / "image.tar", name, crane=crane)
            yield name
        finally:
            running.terminate()


@pytest.fixture(scope="module")
def account(admin: Person, reference: str) -> Iterator[Account]:
    sections = {
        "cluster": {"name": STACK, "ephemeral": True},
        # The path starts at the user's checkout; to KinKy this is any cluster with KubeVirt.
        "host": {"namespace": STACK, "kubeconfig": f"../{KUBECONFIG}", "accelerator": "auto"},
        "image": {"reference": reference},
    }
    with lend_account(admin, stack=STACK, sections=sections) as someone:
        yield someone


def test_a_preview_needs_only_the_name_of_the_image(account: Account, reference: str) -> None:
    before = [asdict(row) for row in list_tools()]
    assert reference not in list_records()
    account.kinky("preview", limit_seconds=600)
    assert reference not in list_records()
    assert [asdict(row) for row in list_tools()] == before
