"""What the bench measures of a ground, with an engine that answers as told and a floor that is a number."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kinky.accelerator import Accelerator
from kinky.bench import ground as bench_ground
from kinky.bench.ground import Ground, measure_ground, settings
from kinky.cli import bench
from kinky.embedded import host
from kinky.errors import KinkyError
from kinky.stacks import engine as stack_engine
from kinky.stacks.file import StackFile, read_stack_file
from kinky.toolchain import tools
from tests.unit.cli.test_bench import outputs

TEXT = """\
config:
  kinky:cluster: {name: dev}
  kinky:host: {embedded: true, accelerator: auto}
  kinky:controlPlane: {replicas: 1}
  kinky:workers: [{pool: worker, replicas: 1}]
"""


class FakeEngine:
    """Stands for Pulumi: writes settings as it does, and says how many nodes each `up` made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: list[str] = []

    def ensure(self) -> None:
        if "encryptionsalt" not in self.path.read_text():
            self.path.write_text(self.path.read_text() + "encryptionsalt: v1:new\n")

    def keep_setting(self, *, key: str, value: str) -> None:
        old = {"host.accelerator": "accelerator: auto", "controlPlane.replicas": "Plane: {replicas: 1"}
        find = old.get(key, "worker, replicas: 1")
        self.path.write_text(self.path.read_text().replace(find, find.rpartition(" ")[0] + f" {value}"))

    def up(self, *, on_event: Callable[[Any], None] | None = None) -> None:
        self.calls.append("up")
        if on_event is not None:
            on_event(outputs("pulumi-python:dynamic/kinky:NodesReady"))

    def preview(self, *, expect_no_changes: bool) -> None:
        self.calls.append("preview" if expect_no_changes else "plan")

    def destroy(self) -> None:
        self.calls.append("destroy")


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StackFile:
    """A stack of one control plane and one worker, in a file of its own."""
    path = tmp_path / "stacks" / "Pulumi.dev.yaml"
    path.parent.mkdir()
    path.write_text(TEXT)
    monkeypatch.setattr("kinky.paths.project_root", lambda: tmp_path)
    return read_stack_file("dev")


@pytest.fixture
def engine(stack: StackFile, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A bench without a host: nothing runs, no node has a console."""
    made = FakeEngine(stack.path)
    monkeypatch.setattr(stack_engine, "open_engine", lambda stack_file: made)
    monkeypatch.setattr(bench_ground, "read_processes", lambda cgroup: [])
    monkeypatch.setattr(bench_ground, "_fetch_guest_stages", lambda stack_file, nodes: {node: {} for node in nodes})
    monkeypatch.setattr(bench_ground, "pause", lambda seconds: None)
    monkeypatch.setattr(bench_ground, "measure_replacement", lambda stack_file, node: made.calls.append(node) or 9.0)
    monkeypatch.setattr(bench_ground, "measure_floor", lambda config, start, kubectl: {"nodesReady": 0.1})
    monkeypatch.setattr(tools, "tool_path", Path)
    return made


def ground(*, quick: bool) -> Ground:
    return Ground(
        accelerator=Accelerator.CONTAINER if quick else Accelerator.EMULATION,
        setting="container" if quick else "auto",
        start_floor=lambda nodes, folder: pytest.fail("the floor is measured by a fake"),
        quick=quick,
    )


def test_vms_are_measured_without_replaced_nodes(stack: StackFile, engine: FakeEngine) -> None:
    found = measure_ground(stack, ground(quick=False), with_floor=True, wide=True)
    assert engine.calls == ["up", "preview", "up", "destroy"]
    assert found["nodes"] == {"control-plane": 1, "worker": 1}
    assert found["floor"] == {"nodesReady": 0.1}
    assert found["ratio"] is not None
    assert found["replacedSeconds"] == {}
    assert "wide" not in found
    json.dumps(found)


def test_containers_are_replaced_and_made_wide(stack: StackFile, engine: FakeEngine) -> None:
    found = measure_ground(stack, ground(quick=True), with_floor=False, wide=True)
    narrow = ["up", "preview", "up", "dev-worker-0", "dev-control-plane-0", "destroy"]
    assert engine.calls == [*narrow, "up", "preview", "up", "dev-control-plane-0", "destroy"]
    assert found["replacedSeconds"] == {"control-plane": 9.0, "worker": 9.0}
    assert found["wide"]["nodes"] == {"control-plane": 3, "worker": 2}
    assert found["wide"]["replacedSeconds"] == {"control-plane": 9.0}
    assert "floor" not in found
    assert "ratio" not in found


def test_file_of_the_stack_is_put_back_with_its_salt(stack: StackFile, engine: FakeEngine) -> None:
    def fail() -> None:
        with settings(stack, {"host.accelerator": "container"}) as here:
            assert here.config.host.accelerator == "container"
            raise KinkyError("up failed")

    with pytest.raises(KinkyError):
        fail()
    assert stack.path.read_text() == TEXT + "encryptionsalt: v1:new\n"


def measure_grounds(monkeypatch: pytest.MonkeyPatch, *, chosen: str | None, offer: str) -> dict[str, Any]:
    status = SimpleNamespace(accelerator=Accelerator.EMULATION, container_guests=offer)
    monkeypatch.setattr(host, "status", lambda: status)
    monkeypatch.setattr(bench, "measure_ground", lambda stack_file, ground, *, with_floor, wide: {"by": ground.setting})
    arguments = argparse.Namespace(ground=chosen, without_floor=False, wide=False)
    return bench._measure_grounds(arguments, read_stack_file("dev"))


@pytest.mark.parametrize(
    ("chosen", "offer", "expected"),
    [
        (None, "offered", {"emulation": {"by": "auto"}, "container": {"by": "container"}}),
        ("vm", "offered", {"emulation": {"by": "auto"}}),
        ("container", "offered", {"container": {"by": "container"}}),
        (None, "no loops", {"emulation": {"by": "auto"}, "container": {"notOffered": "no loops"}}),
    ],
)
def test_grounds_are_the_hosts_vms_and_containers(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, offer: str, expected: dict[str, Any]
) -> None:
    assert measure_grounds(monkeypatch, chosen=chosen, offer=offer) == expected
