"""The main job in virtual machines, once: what only they prove, and that both grounds live side by side.

Interrupted, finished, a worker replaced, the disks searched, destroyed although its control plane is off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kinky import names
from kinky.accelerator import Accelerator
from kinky.embedded import kubevirt_images
from kinky.scan.kind import Kind
from kinky.topology.nodes import build_nodes
from tests.e2e import consoles, foreign, gate, guests, leaks, plants, services
from tests.e2e.person import EMBEDDED, SCAN_SECONDS, UP_SECONDS, Person, borrow, is_ready, wait_for
from tests.e2e.rotation import rotate

pytestmark = pytest.mark.host

BESIDE = "local-beside"
THREE = "local-three-vms"
"""Git knows no stack files of these names."""
SMALL = {
    "kinky:cluster": {"name": BESIDE, "ephemeral": True},
    "kinky:workers": [{"pool": "worker", "replicas": 1, "memoryMib": 1536}],
}
OFF_SECONDS = 120.0


@pytest.fixture(scope="module")
def finished(person: Person) -> Person:
    """The person with a finished stack of virtual machines."""
    person.make("up", f"STACK={person.stack.stack}", limit_seconds=UP_SECONDS)
    return person


def test_destroy_of_a_half_built_stack(person: Person) -> None:
    """Ctrl-C in the middle of `up`."""
    person.interrupt_up()
    person.destroy()
    assert person.left_on_host() == set()


def test_all_nodes_are_ready_and_the_workload_answers(finished: Person) -> None:
    nodes = finished.nodes()
    assert set(nodes) == {node.name for node in build_nodes(finished.stack.config)}
    assert all(is_ready(node) for node in nodes.values())
    assert finished.show_gate().startswith("open since")
    services.check_workload(finished)


def test_logs_reach_the_workers(finished: Person) -> None:
    """A node with a wrong address looks Ready; only what goes through its kubelet shows it."""
    of_worker = (
        "--namespace",
        "kube-system",
        "--field-selector",
        f"spec.nodeName={finished.worker}",
        "--output",
        "name",
    )
    pods = finished.kubectl("get", "pods", *of_worker).split()
    proxy = next(pod for pod in pods if "kube-proxy" in pod)
    assert finished.kubectl("logs", "--namespace", "kube-system", proxy, "--tail", "1")


def test_a_second_up_changes_nothing(finished: Person) -> None:
    finished.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_the_serial_console_shows_what_the_guest_prints_and_its_log_the_boot(finished: Person) -> None:
    node, text = finished.worker, "printed by the guest"
    script = f"echo {text} >/dev/console"
    shown = consoles.watch_until(finished, node, text, lambda: guests.run_anywhere(finished, node, script))
    assert text in shown
    assert "kinky: stage " in consoles.read_log(finished, node)


@pytest.fixture
def beside(finished: Person, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The person of a small stack of container guests on the same host, as long as one test runs."""
    with borrow(BESIDE, base="dev", scratch=tmp_path_factory.mktemp(BESIDE), changes=SMALL) as someone:
        someone.up()
        yield someone
        someone.destroy()


def test_virtual_machines_and_container_guests_live_on_one_host(finished: Person, beside: Person) -> None:
    """Only what stands for QEMU has privileges, and only where the stack asked for it."""
    assert find_launchers(finished) == {(False, kubevirt_images.reference("virt-launcher"))}
    assert find_launchers(beside) == {(True, kubevirt_images.reference(names.CONTAINER_LAUNCHER))}
    assert find_privileged(finished) == set()
    assert find_privileged(beside) == {"compute"}
    for someone in (finished, beside):
        assert all(is_ready(node) for node in someone.nodes().values())
        services.check_workload(someone)


def test_a_worker_is_replaced(finished: Person) -> None:
    finished.replace(finished.worker)
    wait_for("a store that works", lambda: gate.works(finished), limit_seconds=300)


def test_a_key_is_rotated(finished: Person) -> None:
    """The one that restarts no node; the others are rotated on container guests."""
    rotate(finished, "store-credential")


def test_emulation_refuses_three_control_planes_with_a_hint(
    finished: Person, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where the hardware helps, emulation itself is refused."""
    changes = {
        "kinky:host": {**EMBEDDED["kinky:host"], "accelerator": Accelerator.EMULATION.value},
        "kinky:controlPlane": {"replicas": 3},
    }
    with borrow(THREE, base="dev", scratch=tmp_path_factory.mktemp(THREE), changes=changes) as someone:
        told = foreign.refuse(someone, "preview", "--stack", THREE)
    assert "accelerator = emulation" in told or (
        "emulation carries one control plane" in told and "set host.accelerator: container" in told
    )


def test_s2_a_plant_on_each_disk_of_a_vm_is_found_and_nothing_else(finished: Person) -> None:
    """Last, because the disks keep it."""
    value = plants.make_value()
    file = finished.scratch / "value"
    file.write_text(value)
    finished.kinky("secrets", "set", plants.NAME, "--file", str(file), "--stack", finished.stack.stack)
    file.unlink()
    plants.plant_in_guests(finished, value)
    plants.plant_behind_credentials(finished, value)
    report = json.loads(finished.ask("scan", "--json", limit_seconds=SCAN_SECONDS))
    leaks.keep_figures(finished, report)
    assert all(plants.NAME in hit["secret"] for hit in report["unexpectedHits"])
    found = {hit["kind"] for hit in report["unexpectedHits"]}
    assert found >= {Kind.VM_DISK, Kind.INNER_ETCD, Kind.CREDENTIALS_DISK, Kind.POD_LOG}
    assert report["missingHits"] == []


def test_destroy_needs_no_living_inner_cluster(finished: Person) -> None:
    node = finished.control_plane
    halted = json.dumps({"spec": {"runStrategy": "Halted"}})
    finished.host("patch", "virtualmachine", node, "--type", "merge", "--patch", halted)
    wait_for(f"{node} off", lambda: not finished.vmi_uid(node), limit_seconds=OFF_SECONDS)
    finished.destroy()
    assert finished.left_on_host() == set()


def find_launchers(person: Person) -> set[tuple[bool, str]]:
    """Return what the guests of a stack are started by: with privileges or without, and from which image."""
    launchers = [pod for pod in fetch_pods(person) if pod["metadata"]["labels"].get("kubevirt.io") == "virt-launcher"]
    compute = [each for pod in launchers for each in pod["spec"]["containers"] if each["name"] == "compute"]
    assert len(compute) == len(build_nodes(person.stack.config))
    return {(is_privileged(each), each["image"]) for each in compute}


def find_privileged(person: Person) -> set[str]:
    """Return the names of all containers with privileges in a stack's namespace on the host."""
    specs = [pod["spec"] for pod in fetch_pods(person)]
    containers = [each for spec in specs for each in (*spec["containers"], *spec.get("initContainers", []))]
    return {each["name"] for each in containers if is_privileged(each)}


def fetch_pods(person: Person) -> list[dict[str, Any]]:
    """Return the pods of a stack on the host."""
    return list(json.loads(person.host("get", "pods", "--output", "json"))["items"])


def is_privileged(container: dict[str, Any]) -> bool:
    """Tell whether a container has privileges."""
    return bool((container.get("securityContext") or {}).get("privileged"))
