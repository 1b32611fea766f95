"""Deaths on container guests, each with its recovery and with nothing left of what died."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from tests.e2e import guests
from tests.e2e.machine import control_groups, loop_devices, machine_lists, mounts_in, processes_of
from tests.e2e.person import Person, is_ready, wait_for

pytestmark = pytest.mark.host

KEPT = "/var/lib/kinky/data/kept"
"""A file on a guest's data disk, which a reboot keeps."""
GONE_SECONDS = 60.0
RETURN_SECONDS = 180.0
"""virt-handler takes half a minute to notice that a launcher is gone."""
EARLY_SECONDS, LATE_SECONDS = 25.0, 90.0
"""Around the grace period of 30 s, which begins and ends when KubeVirt looks."""


def test_a_guest_whose_init_is_killed_is_told_as_crashed_and_returns(finished: Person) -> None:
    node, boot = finished.worker, finished.boot_id(finished.worker)
    instance = finished.vmi_uid(node)
    os.kill(guests.find_init(finished, node), signal.SIGKILL)
    wait_for("another VM instance", lambda: finished.vmi_uid(node) not in ("", instance), limit_seconds=RETURN_SECONDS)
    finished.wait_booted(node, boot)
    assert "crashed" in read_events(finished, instance)


def test_nothing_is_left_of_a_launcher_that_is_killed(finished: Person) -> None:
    node, boot, before = finished.worker, finished.boot_id(finished.worker), len(loop_devices())
    instance, pod = finished.vmi_uid(node), guests.launcher_uid(finished, node)
    view = guests.find_launcher(finished, finished.control_plane)
    os.kill(guests.find_launcher(finished, node), signal.SIGKILL)
    wait_for("another VM instance", lambda: finished.vmi_uid(node) not in ("", instance), limit_seconds=RETURN_SECONDS)
    finished.wait_booted(node, boot)
    wait_for("the end of its processes", lambda: not processes_of(pod), limit_seconds=GONE_SECONDS)
    wait_for("the end of its control groups", lambda: not control_groups(pod), limit_seconds=GONE_SECONDS)
    assert mounts_in(view, pod) == set()
    assert len(loop_devices()) == before


def test_a_reboot_inside_keeps_instance_and_data(finished: Person) -> None:
    node, boot, instance = finished.worker, finished.boot_id(finished.worker), finished.vmi_uid(finished.worker)
    before = len(loop_devices())
    guests.run(finished, node, f"touch {KEPT} /root/lost; sync")
    guests.run(finished, node, "systemctl --no-block reboot")
    finished.wait_booted(node, boot)
    assert finished.vmi_uid(node) == instance
    assert guests.run(finished, node, f"ls {KEPT}").strip() == KEPT
    assert guests.run(finished, node, "ls /root").strip() == "", "the root is memory, as in a virtual machine"
    assert len(loop_devices()) == before


def test_a_guest_that_hangs_in_its_shutdown_is_killed_when_its_time_is_over(finished: Person) -> None:
    node, boot = finished.worker, finished.boot_id(finished.worker)
    hang = "--property=TimeoutStopSec=infinity --property=ExecStop='/bin/sleep infinity'"
    guests.run(finished, node, f"systemd-run --unit=hang {hang} /bin/sleep infinity")
    begin = time.monotonic()
    finished.delete_instance(node)
    assert EARLY_SECONDS < time.monotonic() - begin < LATE_SECONDS
    finished.wait_booted(node, boot)


def test_a_process_that_takes_more_than_the_guest_has_is_killed(finished: Person) -> None:
    node, instance = finished.worker, finished.vmi_uid(finished.worker)
    memory = finished.stack.config.workers[0].memory_mib << 20
    eat = guests.python(f"b'x' * {2 * memory}; print('it has all')")
    free = available_memory()
    told = guests.run(finished, node, f"{eat} || echo killed", limit_seconds=180)
    assert told.split() == ["killed"]
    assert available_memory() > free - memory, "what it took is back"
    wait_for("the node", lambda: is_ready(finished.nodes()[node]), limit_seconds=RETURN_SECONDS)
    assert finished.vmi_uid(node) == instance


def test_an_embedded_host_that_is_killed_leaves_nothing_and_its_vms_return(finished: Person) -> None:
    """Its claims are files of this machine: so etcd goes on with what it had."""
    from kinky.embedded import layout, machine

    nodes = (finished.control_plane, finished.worker)
    finished.kubectl("create", "configmap", "survivor", "--from-literal=written=before")
    boots = {node: finished.boot_id(node) for node in nodes}
    pods = [guests.launcher_uid(finished, node) for node in nodes]
    place = layout.default_layout()
    record = machine.running(place)
    assert record is not None
    inside = machine.inner_pid(record)
    assert inside is not None
    members = {pid: guests.birth(pid) for pid in processes_of(place.cgroup)} | {inside: guests.birth(inside)}
    before = machine_lists()
    os.kill(inside, signal.SIGKILL)
    wait_for("the end of the host", lambda: machine.running(place) is None, limit_seconds=GONE_SECONDS)
    finished.kinky("host", "up", limit_seconds=900)
    for node, boot in boots.items():
        wait_for(f"the inner API and {node}", partial(finished.boot_id, node), limit_seconds=RETURN_SECONDS)
        finished.wait_booted(node, boot)
    kept = finished.kubectl("get", "configmap", "survivor", "--output", "jsonpath={.data.written}")
    finished.kubectl("delete", "configmap", "survivor")
    assert kept == "before"
    assert [pid for pid, born in members.items() if born and guests.birth(pid) == born] == []
    assert [group for pod in pods for group in control_groups(pod)] == []
    after = machine_lists()
    assert after["mounts"] == before["mounts"] and after["interfaces"] == before["interfaces"]
    assert len(after["loop devices"]) == len(before["loop devices"])


def read_events(person: Person, instance: str) -> str:
    """Return the messages of the events of a VM instance, by its identity."""
    selected = ("--field-selector", f"involvedObject.uid={instance}")
    return person.host("get", "events", *selected, "--output", "jsonpath={..message}")


def available_memory() -> int:
    """Return the bytes of memory that the machine could give."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
