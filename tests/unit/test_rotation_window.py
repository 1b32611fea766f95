"""The way to the API server of one of several control planes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kinky.operations import window
from kinky.operations.site import Site
from kinky.reach.forward import is_listening
from kinky.reach.reach import Reach
from kinky.retry import Pending
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_forward_guest import Guest, Loop
from tests.unit.fake_forward_host import FakeHost, Pod

PODS = "/api/v1/namespaces/ns/pods"
NODE = "dev-control-plane-1"


class Way:
    """A host with three control planes, and everything that was asked of their API servers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, objects: FakeConnection) -> None:
        self.loop, self.host, self.guest = Loop(), FakeHost(folder), Guest("plane-1")
        self.loop.run(self.guest.start())
        self.loop.run(self.host.start())
        self.access = self.host.write_kubeconfig()
        self.objects = objects
        self.asked: list[str] = []
        monkeypatch.setattr(Reach, "inner", lambda reach: self._connect(reach))

    def add_launcher(self, name: str, node: str, *, phase: str = "Running") -> None:
        labels = {"kinky.dev/node": node, "kubevirt.io": "virt-launcher"}
        self.objects.add(PODS, name, metadata={"labels": labels}, status={"phase": phase})

    def build_site(self, planes: int) -> Site:
        nodes = tuple(f"dev-control-plane-{number}" for number in range(planes))
        return Site(reach=Reach(self.access, "https://x"), control_planes=nodes, workers=())

    def _connect(self, reach: Reach) -> Any:
        self.asked.append(reach.server)
        return object()


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch, host: FakeConnection, tmp_path: Path) -> Iterator[Way]:
    made = Way(monkeypatch, tmp_path, host)
    yield made
    made.loop.close()


def ask_name(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"name\n")
        return client.makefile("rb").read().decode()


def test_the_only_control_plane_is_asked_through_the_published_path(way: Way) -> None:
    assert window.ask_control_plane(way.build_site(1), "dev-control-plane-0", lambda _inner: "seen") == "seen"
    assert way.asked == ["https://x"]
    assert way.host.dialed == []


def test_one_of_three_is_asked_through_its_own_pod(way: Way) -> None:
    way.add_launcher("launcher-0", "dev-control-plane-0")
    way.add_launcher("launcher-1", NODE)
    way.add_launcher("launcher-1-ended", NODE, phase="Succeeded")
    way.host.pods["launcher-1"] = Pod(port=way.guest.port)
    threads = threading.active_count()
    site = way.build_site(3)
    seen: list[int] = []

    def look(port: int) -> str:
        seen.append(port)
        return ask_name(port)

    assert window.look_through(site, NODE, 6443, look) == "plane-1\n"
    assert window.ask_control_plane(site, NODE, lambda _inner: "seen") == "seen"
    assert way.asked[0].startswith("https://127.0.0.1:")
    assert way.host.dialed == ["launcher-1"]
    assert not is_listening(seen[0])
    assert threading.active_count() == threads


def test_a_way_that_leads_nowhere_says_why(way: Way) -> None:
    way.add_launcher("launcher-1", NODE)
    way.host.pods["launcher-1"] = Pod(refuse=403)

    def look(port: int) -> Pending:
        return Pending(f"it said {ask_name(port)!r}")

    answer = window.look_through(way.build_site(3), NODE, 6443, look)
    assert isinstance(answer, Pending)
    assert answer.seen.startswith("it said ''; closed a connection: pod launcher-1, port 6443: the host refused")


def test_an_error_of_the_look_closes_the_way(way: Way) -> None:
    way.add_launcher("launcher-1", NODE)
    threads = threading.active_count()

    def look(_port: int) -> str:
        raise KeyError

    with pytest.raises(KeyError):
        window.look_through(way.build_site(3), NODE, 6443, look)
    assert threading.active_count() == threads


def test_a_node_without_a_pod_is_waited_for(way: Way) -> None:
    answer = window.ask_control_plane(way.build_site(3), NODE, lambda _inner: "seen")
    assert answer == Pending(f"{NODE} has no launcher pod that runs")
