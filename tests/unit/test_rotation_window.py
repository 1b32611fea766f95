"""The way to the API server of one of several control planes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kinky.bootstrap.rotation import window
from kinky.bootstrap.rotation.site import Site
from kinky.config.load import load_config
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.retry import Pending
from tests.unit.fake_api import FakeClock, FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context="lab", namespace="ns", cluster="dev")
PODS = "/api/v1/namespaces/ns/pods"


class Machine:
    """Processes and ports of this machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started: list[list[str]] = []
        self.ended: list[tuple[int, str]] = []
        self.listens = True
        self.asked: list[str] = []
        monkeypatch.setattr(window.process, "spawn_detached", self._start)
        monkeypatch.setattr(window.process, "terminate", self._end)
        monkeypatch.setattr(window, "is_listening", lambda _port: self.listens)
        monkeypatch.setattr(window, "connect_inner", self._connect)
        monkeypatch.setattr("kinky.bootstrap.rotation.site.connect_inner", self._connect)

    def _start(self, argv: list[str], **named: Any) -> int:
        assert named["env"] == {"KUBECONFIG": "/k"}
        self.started.append(argv)
        return 7

    def _end(self, pid: int, *, expect: str, grace_seconds: float) -> None:
        assert grace_seconds > 0
        self.ended.append((pid, expect))

    def _connect(self, _access: HostAccess, _cluster: str, server: str) -> Any:
        self.asked.append(server)
        return object()


def build_site(planes: int) -> Site:
    config = load_config(
        {"cluster": {"name": "dev"}, "host": {"embedded": True}, "controlPlane": {"replicas": planes}}, source="test"
    )
    return Site(config=config, access=ACCESS, server="https://x", host=HostApi.connect(ACCESS), kubectl="/bin/kubectl")


def add_launcher(host: FakeConnection, name: str, node: str, *, phase: str = "Running") -> None:
    labels = {"kinky.dev/node": node, "kubevirt.io": "virt-launcher"}
    host.add(PODS, name, metadata={"labels": labels}, status={"phase": phase})


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, host: FakeConnection, clock: FakeClock, tmp_path: Path) -> Machine:
    return Machine(monkeypatch)


def test_the_only_control_plane_is_asked_through_the_published_path(machine: Machine) -> None:
    assert window.ask_control_plane(build_site(1), "dev-control-plane-0", lambda _inner: "seen") == "seen"
    assert machine.asked == ["https://x"]
    assert machine.started == []


def test_one_of_three_is_asked_through_its_own_pod(machine: Machine, host: FakeConnection) -> None:
    add_launcher(host, "launcher-0", "dev-control-plane-0")
    add_launcher(host, "launcher-1", "dev-control-plane-1")
    add_launcher(host, "launcher-1-ended", "dev-control-plane-1", phase="Succeeded")
    assert window.ask_control_plane(build_site(3), "dev-control-plane-1", lambda _inner: "seen") == "seen"
    [argv] = machine.started
    assert argv[:2] == ["timeout", str(window.LIFE_SECONDS)]
    assert argv[2:5] == ["/bin/kubectl", "port-forward", "pod/launcher-1"]
    assert argv[-2:] == ["--context", "lab"]
    port = argv[5].partition(":")[0]
    assert machine.asked == [f"https://127.0.0.1:{port}"]
    assert machine.ended == [(7, " ".join(argv[5:8]))]


def test_a_way_that_does_not_open_is_closed_and_tried_again(machine: Machine, host: FakeConnection) -> None:
    add_launcher(host, "launcher-1", "dev-control-plane-1")
    machine.listens = False
    answer = window.ask_control_plane(build_site(3), "dev-control-plane-1", lambda _inner: "seen")
    assert isinstance(answer, Pending)
    assert "forward to pod launcher-1: not met in 30 s" in answer.seen
    assert len(machine.ended) == 1
    assert machine.asked == []


def test_a_node_without_a_pod_is_waited_for(machine: Machine) -> None:
    answer = window.ask_control_plane(build_site(3), "dev-control-plane-1", lambda _inner: "seen")
    assert answer == Pending("dev-control-plane-1 has no launcher pod that runs")
