"""The embedded host and the machine: control groups, preflight, port, records; nothing of the machine is changed."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from kinky import process
from kinky.accelerator import Accelerator
from kinky.embedded import cgroups, machine, preflight, proxy
from kinky.embedded.layout import Layout
from kinky.errors import CommandError, HostError

MOUNTS = """\
24 30 0:22 / /sys/fs/cgroup rw,relatime shared:9 - tmpfs tmpfs rw,mode=755
25 24 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
26 24 0:24 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
27 24 0:25 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""


def test_hierarchies_of_both_kinds_are_found() -> None:
    found = cgroups.parse_hierarchies(MOUNTS)
    assert [str(hierarchy.mount) for hierarchy in found] == [
        "/sys/fs/cgroup/cpu,cpuacct",
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/unified",
    ]
    assert [hierarchy.unified for hierarchy in found] == [False, False, True]
    assert found[0].controllers == {"cpu", "cpuacct"}


def test_missing_controllers_are_named() -> None:
    with pytest.raises(HostError, match=r"^embedded host cannot start: kernel control groups lack cpuset, pids$"):
        cgroups.check(cgroups.parse_hierarchies(MOUNTS))


def test_unified_hierarchy_accounts_cpu_time_itself(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    cgroups.check([cgroups.Hierarchy(tmp_path, unified=True, controllers=frozenset())])


def test_ordinary_user_is_told_before_anything_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError) as caught:
        preflight.check_machine(Layout(tmp_path / "host"), first_start=True)
    assert caught.value.message == "embedded host cannot start: not root: user id 1000"
    assert not (tmp_path / "host").exists()


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this machine look able, whatever it is; single tests take one thing away."""

    def answer(argv: Sequence[object], *, reason: str, timeout_seconds: float = 0) -> str:
        assert reason and timeout_seconds
        return ""

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(preflight, "CNI_PROGRAMS", ())
    monkeypatch.setattr(preflight, "LEAST_MEMORY_MIB", 1)
    monkeypatch.setattr(cgroups, "check", lambda found: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 100 << 30))
    monkeypatch.setattr(process, "run", answer)


@pytest.mark.usefixtures("able")
def test_able_machine_passes_and_is_left_as_it_was(tmp_path: Path) -> None:
    preflight.check_machine(Layout(tmp_path / "host"), first_start=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("able")
def test_full_disk_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 3 << 30))
    with pytest.raises(HostError) as caught:
        preflight.check_machine(Layout(tmp_path / "host"), first_start=True)
    assert caught.value.message == (
        f"embedded host cannot start: disk full: 3.0 GiB free for {tmp_path}/host, 8 GiB needed"
    )
    preflight.check_machine(Layout(tmp_path / "host"), first_start=False)


@pytest.mark.usefixtures("able")
def test_missing_kernel_feature_is_named_with_the_kernels_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def answer(argv: Sequence[object], **_: object) -> str:
        if "nft" in str(argv[-1]):
            raise CommandError("failed", details=["needed to: try", "last output: Error: Operation not supported"])
        return ""

    monkeypatch.setattr(process, "run", answer)
    with pytest.raises(HostError) as caught:
        preflight.check_machine(Layout(tmp_path / "host"), first_start=True)
    assert caught.value.message == (
        "embedded host cannot start: kernel lacks nftables with NAT: Error: Operation not supported"
    )


@pytest.mark.usefixtures("able")
def test_missing_program_hint_names_every_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "runc" else f"/usr/bin/{name}")
    with pytest.raises(HostError, match=r"programs missing: runc") as caught:
        preflight.check_machine(Layout(tmp_path / "host"), first_start=True)
    assert "mmdebstrap" in str(caught.value.hint)


def test_fixed_port_that_is_taken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy.open_listener(0) as busy:
        port = busy.getsockname()[1]
        monkeypatch.setenv(machine.PORT_VARIABLE, str(port))
        with pytest.raises(HostError, match=rf"^embedded host cannot start: port 127.0.0.1:{port} is taken"):
            machine.open_port(None)


def test_next_port_is_taken_when_the_last_one_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(machine.PORT_VARIABLE, raising=False)
    with proxy.open_listener(0) as busy, machine.open_port(busy.getsockname()[1]) as listener:
        assert listener.getsockname()[1] != busy.getsockname()[1]
        assert listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("value", ["https", "", "0", "65536", "99999", "-1", "\N{SUPERSCRIPT TWO}"])
def test_port_must_be_a_number_of_a_port(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(machine.PORT_VARIABLE, value)
    with pytest.raises(HostError, match=f'KINKY_HOST_PORT = "{value}": must be a port number, 1 to 65535'):
        machine.open_port(None)


def test_record_survives_and_a_stale_one_is_not_a_running_host(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    record = machine.Record(pid=os.getpid(), apiPort=16440, started=12.5, accelerator=Accelerator.KVM)
    machine.write_record(place, record)
    assert place.record.stat().st_mode & 0o077 == 0
    assert machine.read_record(place) == record
    # The process lives, but it is not this host's sandbox: process numbers are used again.
    assert machine.running(place) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_broken_record_counts_as_none(tmp_path: Path, text: str) -> None:
    place = Layout(tmp_path)
    place.record.write_text(text)
    assert machine.read_record(place) is None


def test_two_hosts_on_one_machine_have_their_own_group(tmp_path: Path) -> None:
    assert Layout(tmp_path / "a").cgroup != Layout(tmp_path / "b").cgroup


def test_proxy_carries_both_directions_and_half_closed_connections(tmp_path: Path) -> None:
    with proxy.open_listener(0) as server, proxy.open_listener(0) as front:
        proxy.serve_in_thread(front.dup(), "127.0.0.1", server.getsockname()[1], door=tmp_path / "door")
        with socket.create_connection(front.getsockname(), timeout=10) as client:
            inner, _ = server.accept()
            with inner:
                inner.settimeout(10)
                client.sendall(b"question")
                client.shutdown(socket.SHUT_WR)
                assert inner.makefile("rb").read() == b"question"
                # The other direction stays open until the server closes it.
                inner.sendall(b"answer" * 100_000)
                inner.shutdown(socket.SHUT_WR)
                assert client.makefile("rb").read() == b"answer" * 100_000


def test_proxy_closes_at_once_when_nobody_serves_inside(tmp_path: Path) -> None:
    with proxy.open_listener(0) as free:
        unused = free.getsockname()[1]
    with proxy.open_listener(0) as front:
        proxy.serve_in_thread(front.dup(), "127.0.0.1", unused, door=tmp_path / "door")
        with socket.create_connection(front.getsockname(), timeout=10) as client:
            assert client.recv(1) == b""


def test_made_mount_points_are_removed_unless_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Layout(tmp_path / "host")
    place.root.mkdir()
    made, used = tmp_path / "made", tmp_path / "used"
    for folder in (made, used, used / "by-another"):
        folder.mkdir()
    place.mount_points.write_text(f"{made}\n{used}\n")
    monkeypatch.setattr(machine, "stray_processes", lambda _: [])
    monkeypatch.setattr(cgroups, "remove", lambda _: None)
    monkeypatch.setattr(cgroups, "residue", lambda _: [])
    machine.remove_leftovers(place)
    assert not made.exists()
    assert used.exists()
    assert not place.mount_points.exists()


def test_nested_groups_of_guests_are_thawed_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tmp_path / "kinky-1"
    deep = top / "kubepods" / "pod1" / "launcher" / "dev-worker-0" / "kubepods.slice" / "kubepods-pod2.slice" / "guest"
    deep.mkdir(parents=True)
    hierarchy = cgroups.Hierarchy(tmp_path, unified=False, controllers=frozenset({"freezer"}))
    monkeypatch.setattr(cgroups, "hierarchies", lambda: (hierarchy,))
    thawed: list[Path] = []
    monkeypatch.setattr(cgroups, "_thaw", thawed.append)
    cgroups.remove("kinky-1")
    assert cgroups.residue("kinky-1") == []
    assert thawed[0] == deep
    assert thawed[-1] == top
