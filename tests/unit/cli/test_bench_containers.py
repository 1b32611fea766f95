"""The floor of container guests: what its programs are told, and how it tells of their end."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from kinky import process
from kinky.bench import containers
from kinky.errors import CommandError, KinkyError
from kinky.nodeimage import floor
from kinky.nodeimage.build import NodeImage

IMAGE = NodeImage(
    reference="kinky.internal/node:1", kubernetes_version="v1", content_hash="0", images=(), directory=Path("/cache/1")
)
NODE = floor.FloorNode(
    name="dev-control-plane-0",
    role="control-plane",
    cores=2,
    memory_mib=1024,
    address="10.0.2.97",
    user_data="#cloud-config\n",
    credentials={"ca.key": b"key"},
)
LAUNCHER = Path(__file__).resolve().parents[3] / "toolchain" / "container-launcher"


def test_a_guest_is_made_of_what_the_launcher_reads() -> None:
    spec = containers.build_spec(IMAGE, NODE)
    source = (LAUNCHER / "guest" / "spec.go").read_text()
    # Go ignores a field that it does not know.
    assert all(f"\n\t{field} " in source or f"\t{field}, " in source for field in spec if field != "CPUs"), sorted(spec)
    assert spec["RootImage"] == "/image/disk.qcow2"
    assert spec["Disks"] == {
        "kinky-data": "/floor/dev-control-plane-0.data.raw",
        "kinky-etcd": "/floor/dev-control-plane-0.etcd.raw",
    }
    assert spec["MemoryBytes"] == 1 << 30
    assert spec["Seed"]["user-data"] == NODE.user_data
    assert spec["Network"] == {"Bridge": "segment", "MAC": floor.build_mac(NODE.name)}
    assert floor.build_mac(NODE.name).startswith("52:54:")
    json.dumps(spec)


def test_a_worker_has_no_disk_for_etcd() -> None:
    worker = dataclasses.replace(NODE, name="dev-worker-0", role="worker")
    assert list(containers.build_spec(IMAGE, worker)["Disks"]) == ["kinky-data"]


def test_files_of_a_guest_are_where_it_looks(tmp_path: Path) -> None:
    (tmp_path / "floor").mkdir()
    containers._write_guest(tmp_path, IMAGE, NODE)
    place = tmp_path / "floor"
    spec = json.loads((place / "dev-control-plane-0.json").read_text())
    assert all((tmp_path / file.lstrip("/")).is_file() for file in [*spec["Disks"].values(), spec["ConsoleLog"]])
    assert (place / "dev-control-plane-0.data.raw").stat().st_size == NODE.data_gib << 30
    assert (tmp_path / spec["Credentials"].lstrip("/") / "ca.key").read_bytes() == b"key"


def test_room_is_a_script_that_bash_understands() -> None:
    process.run(["bash", "-n", "-c", containers.ROOM], reason="parse the script")


def test_both_floors_have_the_same_gateway() -> None:
    gateway = floor.build_gateway("outside", address="10.0.2.97", api_port=1234)
    assert "user,id=outside,hostfwd=tcp:127.0.0.1:1234-10.0.2.97:6443" in gateway
    arguments = containers._gateway_arguments(gateway, "floor1")
    assert [part for part in arguments if part.startswith("hubport")] == [
        "hubport,hubid=0,id=inner,netdev=outside",
        "hubport,hubid=0,id=outer,netdev=tap0",
    ]


def test_gateway_is_plugged_in_as_soon_as_its_interface_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(argv: list[str], **options: object) -> str:
        asked.append(argv)
        if len(asked) < 3:
            raise CommandError("Cannot find device")
        return ""

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr("kinky.retry.pause", lambda seconds: None)
    containers._move("floor1", 77)
    assert asked == [["ip", "link", "set", "floor1", "netns", "77"]] * 3


def make_floor(folder: Path, *, pid: int, console: str) -> floor.Floor:
    (folder / "a.console.log").write_text(console)
    (folder / "log").write_text("crun: it failed\n")
    times = {"a": floor.NodeTimes()}
    return floor.Floor(
        api_port=1, times=times, pids={"a": pid}, started=0.0, folder=folder, program="python", log=folder / "log"
    )


def test_stages_are_read_from_the_consoles(tmp_path: Path) -> None:
    found = make_floor(tmp_path, pid=os.getpid(), console="kinky: stage data-disk 0.8\r\nkinky: stage done 6.5\r\n")
    found.read_consoles()
    assert found.times["a"].uptime_seconds == {"data-disk": 0.8, "done": 6.5}


def test_a_guest_that_ended_is_told_with_what_its_program_said(tmp_path: Path) -> None:
    found = make_floor(tmp_path, pid=4_000_000, console="last words\n")
    with pytest.raises(KinkyError) as caught:
        found.read_consoles()
    assert caught.value.message == "node a: the program that runs it has ended"
    assert caught.value.details == ("console: last words", "log: crun: it failed")
