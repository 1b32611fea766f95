"""A store that never works, and keys that change under a living cluster with one control plane.

The tests tell one story in this order, on a stack of their own: the first `up` fails at the store, the second heals;
then a node that registers again, each rotation, and the end.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinky import names, process, retry
from kinky.errors import CommandError
from tests.e2e import gate, guests
from tests.e2e.person import UP_SECONDS, Person, borrow, is_ready, wait_for
from tests.e2e.rotation import check_encryption_key, check_rotation

pytestmark = pytest.mark.host

STACK = "local-rotations"
"""Git knows no stack file of this name."""
HASTE, USUAL = "scale: 0.1", "scale: 1"
"""`up` waits for the store for ten minutes times this; nothing but the store keeps it waiting here."""
SAMPLES = 15
"""How often the pods must have been looked at in a minute."""


@pytest.fixture(scope="module")
def person(embedded_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The person of a stack of which `up` is impatient at first."""
    with borrow(STACK, base="dev", scratch=tmp_path_factory.mktemp(STACK), changes={}) as someone:
        file = someone.stack.path
        file.write_text(file.read_text().replace(USUAL, HASTE))
        yield someone


def test_s5_a_store_that_never_works_starts_no_workload_and_up_names_the_item(person: Person) -> None:
    reader = ("get", "rolebinding", names.store_reader(person.stack.cluster), "--ignore-not-found", "--output", "name")
    log = person.scratch / "without-store.log"
    with person.start(log, "up") as up:
        wait_for("the right to read the store", lambda: person.host(*reader), limit_seconds=600)
        with gate.without_store(person):
            state = ("get", "configmap", names.GATE, "--namespace", names.NAMESPACE_KINKY)
            wait_for("the gate", lambda: person.kubectl(*state), limit_seconds=UP_SECONDS)
            # Somebody wants a workload while the store is not proved.
            assert "created" in gate.create(person, gate.build_owners()["deployment"])
            wait_for("a refused deployment", lambda: gate.is_denied(person, "deployment"), limit_seconds=120)
            assert watch_pods(person, up) >= SAMPLES
            assert up.returncode not in (None, 0)
    told = log.read_text(errors="replace")
    assert re.search(r"requirement 1 of 7 not met in \d+ s: G1: the secrets store is Ready with reason Valid", told)
    assert person.show_gate().startswith("closed ")
    person.stack.path.write_text(person.stack.path.read_text().replace(HASTE, USUAL))
    person.up()
    gate.wait_works(person)
    wait_for("the pod that was refused", lambda: gate.fetch_pods(person), limit_seconds=60)
    person.kubectl("delete", "deployment", "s11", "--namespace", gate.NAMESPACE)


def test_s15_a_node_that_registers_anew_takes_no_workload_until_the_gate_lets_it_in(person: Person) -> None:
    worker = person.worker
    # A kubelet that runs would not register again; the one of the next boot, seconds later, finds no Node object.
    guests.run(person, worker, "systemctl stop kubelet")
    person.kubectl("delete", "node", worker)
    person.delete_instance(worker)
    wait_for("the worker", lambda: worker in (nodes := person.nodes()) and is_ready(nodes[worker]), limit_seconds=300)
    assert names.GATE_TAINT in {taint["key"] for taint in person.nodes()[worker]["spec"].get("taints", [])}
    assert f"nodes that take no workload yet: {worker}" in person.show_gate()
    assert "created" in gate.create(person, gate.build_pods(worker)["bare"])
    wait_for("a pod that waits", lambda: "untolerated taint" in explain_pod(person), limit_seconds=60)
    person.up()
    wait_for("a pod that is placed", lambda: gate.fetch_pods(person)[0]["spec"].get("nodeName"), limit_seconds=60)
    person.kubectl("delete", "pod", "s11", "--namespace", gate.NAMESPACE)


def test_worker_certificates_are_rotated_though_it_is_killed(person: Person) -> None:
    check_rotation(person, "worker-certificates")
    wait_for("the log of a pod through its kubelet", lambda: read_log(person), limit_seconds=300)


def test_s19_the_encryption_key_is_rotated_though_it_is_killed_in_each_round(person: Person) -> None:
    check_encryption_key(person)


def test_the_service_account_key_is_rotated_though_it_is_killed(person: Person) -> None:
    check_rotation(person, "service-account-key", "--drop-now")
    person.open_gate()


def test_the_cas_are_rotated_though_it_is_killed_in_each_round(person: Person, tmp_path: Path) -> None:
    stolen = tmp_path / "kubeconfig"
    person.write_break_glass(stolen, "--hours", "24")
    use = ("--kubeconfig", str(stolen), "get", "nodes", "--output", "name")
    assert person.worker in person.kubectl(*use)
    check_rotation(person, "ca")
    with pytest.raises(CommandError, match="certificate signed by unknown authority"):
        person.kubectl(*use)
    # Whoever stole it learns the new CA: it is no secret.
    body = json.loads(stolen.read_text())
    body["clusters"][0]["cluster"] |= {"certificate-authority-data": read_ca(person)}
    stolen.write_text(json.dumps(body))
    with pytest.raises(CommandError, match=r"Unauthorized|must be logged in"):
        person.kubectl(*use)
    wait_for("the log of a pod through its kubelet", lambda: read_log(person), limit_seconds=300)
    person.open_gate()


def test_pulumi_has_nothing_to_change_after_rotations(person: Person) -> None:
    person.kinky("preview", "--stack", person.stack.stack, "--expect-no-changes", limit_seconds=300)


def test_the_end_leaves_nothing_on_the_host(person: Person) -> None:
    person.destroy()
    assert person.left_on_host() == set()


def watch_pods(person: Person, up: subprocess.Popen[bytes]) -> int:
    """Look at the pods again and again until `up` ends; return how often there was an answer."""
    settings, looks = person.environment(), 0
    ask = ["env", "kubectl", "get", "pods", "--all-namespaces", "--output", "jsonpath={..metadata.namespace}"]
    while up.poll() is None:
        try:
            found = process.run(ask, reason="test", env=settings, timeout_seconds=60).split()
        except CommandError:
            continue
        finally:
            retry.pause(1)
        assert set(found) <= set(names.NAMESPACES_OF_OURS)
        looks += 1
    return looks


def explain_pod(person: Person) -> str:
    """Return what the scheduler says of the pod in the namespace in which the gate is tried."""
    return json.dumps([pod["status"].get("conditions") for pod in gate.fetch_pods(person)])


def read_ca(person: Person) -> str:
    """Return what signs for the API server now, as a kubeconfig holds it."""
    shown = person.kubectl("config", "view", "--minify", "--flatten", "--raw", "--output", "json")
    return str(json.loads(shown)["clusters"][0]["cluster"]["certificate-authority-data"])


def read_log(person: Person) -> list[str]:
    """Return the end of the workload's log, as its node's kubelet gives it once the container has started."""
    return [person.kubectl("logs", "--namespace", names.NAMESPACE_WORKLOAD, "deployment/web", "--tail", "1")]
