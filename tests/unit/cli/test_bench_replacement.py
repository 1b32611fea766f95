"""When a node counts as back after its VM instance was deleted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kinky.bench import replacement
from kinky.bench.replacement import look, measure_replacement
from kinky.errors import HostError, KinkyError
from kinky.retry import Pending
from kinky.stacks.file import read_stack_file

NODE = "dev-worker-0"


def instance(uid: str, *, ready: bool) -> SimpleNamespace:
    return SimpleNamespace(uid=uid, ready=ready, phase="Running")


def node(boot: str, *, ready: bool) -> SimpleNamespace:
    return SimpleNamespace(boot_id=boot, ready=ready, reason="no network")


@pytest.mark.parametrize(
    ("vmi", "found", "seen"),
    [
        (None, None, "no new VM instance"),
        (instance("old", ready=True), None, "no new VM instance"),
        (instance("new", ready=False), None, "VM instance Running, not Ready"),
        (instance("new", ready=True), None, "the inner API shows the old boot"),
        (instance("new", ready=True), node("1", ready=True), "the inner API shows the old boot"),
        (instance("new", ready=True), node("2", ready=False), "not Ready: no network"),
        (instance("new", ready=True), node("2", ready=True), ""),
    ],
)
def test_a_node_is_back_when_a_new_boot_is_ready(vmi: Any, found: Any, seen: str) -> None:
    api = SimpleNamespace(fetch_vmi=lambda name: vmi, fetch_nodes=lambda: {NODE: found} if found else {})
    reach: Any = SimpleNamespace(host=lambda: api, inner=lambda: api)
    answer = look(reach, NODE, old_instance="old", old_boot="1")
    assert answer == (Pending(seen) if seen else True)


class Cluster:
    """Host and inner cluster of one node, whose API is away for one look after the deletion."""

    namespace = "kinky-dev"

    def __init__(self) -> None:
        self.deleted: list[str] = []
        self.looks = 0

    def fetch_vmi(self, name: str) -> SimpleNamespace:
        return instance("new" if self.deleted else "old", ready=True)

    def fetch_nodes(self) -> dict[str, SimpleNamespace]:
        if not self.deleted:
            return {NODE: node("1", ready=True)}
        self.looks += 1
        if self.looks == 1:
            raise HostError("connection refused")
        return {NODE: node("2", ready=True)}

    def delete(self, resource: Any, name: str, *, namespace: str, uid: str) -> None:
        self.deleted.append(f"{namespace}/{name} {uid}")


def test_the_instance_is_deleted_once_and_its_api_may_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    reach = SimpleNamespace(host=lambda: cluster, inner=lambda: cluster)
    monkeypatch.setattr(replacement, "find_reach", lambda stack_file: reach)
    monkeypatch.setattr("kinky.retry.pause", lambda seconds: None)
    assert measure_replacement(read_stack_file("dev"), NODE) >= 0
    assert cluster.deleted == [f"kinky-dev/{NODE} old"]
    assert cluster.looks == 2
    with pytest.raises(KinkyError, match="cannot be replaced"):
        measure_replacement(read_stack_file("dev"), "dev-worker-7")
