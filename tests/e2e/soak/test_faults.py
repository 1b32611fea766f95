"""Sixteen faults of different rungs on one cluster: `kinky why` names each, and what it prints next helps.

The next steps that are commands run as they are printed. The host of these tests enforces no NetworkPolicy, so its test
drops the packets itself; and it has one release only, so a node is told that it must be of another one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from kinky import names, process
from tests.e2e import guests
from tests.e2e.faults import LABEL, PRINTED, change_stack, run_command, run_printed, wait_named, wait_up
from tests.e2e.person import UP_SECONDS, Person, wait_for

pytestmark = pytest.mark.soak

STACK = "local-faults"
"""Git knows no stack file of this name."""
CHOICES: dict[str, Any] = {"kinky:workload": {"enabled": False}}
UNKNOWN_SECONDS = 180.0
"""The controller-manager notices a kubelet that is away after 50 s."""
NO_CLASS = "kinky-e2e-nobody"
MISSING_MIB = 4 << 20
TEMPLATE = "/spec/template/spec"


@pytest.fixture
def worker(owner: Person) -> str:
    """The worker, which stands on the highest rung before each fault."""
    wait_up(owner, owner.worker)
    return owner.worker


@pytest.fixture(scope="module")
def storage_class(owner: Person) -> Iterator[str]:
    """A StorageClass whose volumes nobody makes."""
    body = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": NO_CLASS},
        "provisioner": "kinky.dev/nobody",
    }
    file = owner.scratch / "class.yaml"
    file.write_text(yaml.safe_dump(body))
    owner.host("apply", "--filename", str(file))
    yield NO_CLASS
    owner.host("delete", "storageclass", NO_CLASS)


def test_a_claim_of_etcd_that_cannot_bind(owner: Person, storage_class: str) -> None:
    with change_stack(owner, controlPlane={"etcdStorageClass": storage_class}):
        with owner.start(owner.scratch / "unbound.log", "up"):
            found = wait_named(owner, owner.control_plane, "waits for the volume of claim", "which is Pending")
        assert "controlPlane.etcdStorageClass" in found["next_step"]
        run_printed(owner, found)
    owner.up()
    wait_up(owner, owner.control_plane)


def test_an_image_reference_that_is_not_there(owner: Person, worker: str) -> None:
    boot, template = owner.boot_id(worker), read_template(owner, worker)
    at = next(index for index, volume in enumerate(template["volumes"]) if volume["name"] == "root")
    path, image = f"{TEMPLATE}/volumes/{at}/containerDisk/image", template["volumes"][at]["containerDisk"]["image"]
    patch_vm(owner, worker, path, f"{image}-absent")
    owner.delete_instance(worker)
    found = wait_named(owner, worker, f"the host cannot get the node image {image}-absent for {worker}")
    assert "image.reference" in found["next_step"]
    patch_vm(owner, worker, path, image)
    owner.delete_instance(worker)
    owner.wait_booted(worker, boot)


def test_a_processor_model_that_no_node_has(owner: Person, worker: str) -> None:
    boot = owner.boot_id(worker)
    with change_stack(owner, virtualMachine={"cpuModel": "Z80"}):
        owner.up()
        owner.delete_instance(worker)
        found = wait_named(owner, worker, "no node of the host offers the processor model Z80")
    assert "virtualMachine.cpuModel" in found["next_step"]
    run_printed(owner, found)
    owner.wait_booted(worker, boot)


def test_more_memory_than_the_host_has(owner: Person, worker: str) -> None:
    boot = owner.boot_id(worker)
    with change_stack(owner, workers=[{"pool": "worker", "memoryMib": MISSING_MIB}]):
        owner.up()
        owner.delete_instance(worker)
        found = wait_named(owner, worker, f"no node of the host has enough memory for {worker}")
    assert "lower memoryMib" in found["next_step"]
    run_printed(owner, found)
    owner.wait_booted(worker, boot)


def test_a_quota_that_is_full(owner: Person, worker: str) -> None:
    boot = owner.boot_id(worker)
    owner.host("create", "quota", "full", "--hard", "pods=1")
    try:
        owner.host("delete", "virtualmachineinstance", worker, "--wait=false")
        found = wait_named(owner, worker, "ResourceQuota full is full")
        assert "kubectl describe resourcequota full" in found["next_step"]
        owner.host("patch", "quota", "full", "--type", "merge", "--patch", '{"spec": {"hard": {"pods": "9"}}}')
        owner.wait_booted(worker, boot)
    finally:
        owner.host("delete", "quota", "full")


def test_a_network_policy_that_denies(owner: Person, worker: str) -> None:
    boot = owner.boot_id(worker)
    policy = {"podSelector": {"matchLabels": {LABEL: owner.stack.cluster}}, "policyTypes": ["Ingress"]}
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny-all"},
        "spec": policy,
    }
    file = owner.scratch / "policy.yaml"
    file.write_text(yaml.safe_dump(body))
    owner.host("apply", "--filename", str(file))
    try:
        with other_nodes_denied(owner):
            owner.delete_instance(worker)
            found = wait_named(owner, worker, "cannot reach the API, which answers from outside", "deny-all")
        assert "kubectl get networkpolicies" in found["next_step"]
    finally:
        owner.host("delete", "networkpolicy", "deny-all")
    owner.wait_booted(worker, boot)


def test_a_service_with_the_address_that_is_deleted(owner: Person, worker: str) -> None:
    boot = owner.boot_id(worker)
    owner.host("delete", "service", worker)
    found = wait_named(owner, worker, f"the Service {worker} on the host is gone")
    refresh, _, delete = PRINTED.findall(found["next_step"])
    template = read_template(owner, worker)
    run_command(owner, refresh)
    # As it says: `up` waits for the node meanwhile.
    with owner.start(owner.scratch / "address.log", "up") as running:
        wait_for("the new address", lambda: read_template(owner, worker) != template, limit_seconds=UNKNOWN_SECONDS)
        run_command(owner, delete)
        assert running.wait(UP_SECONDS * owner.patience) == 0
    owner.wait_booted(worker, boot)
    wait_up(owner, worker)


def test_credentials_that_are_deleted(owner: Person, worker: str) -> None:
    boot = owner.boot_id(worker)
    (secret,) = {each["secret"]["secretName"] for each in read_template(owner, worker)["volumes"] if "secret" in each}
    owner.host("delete", "secret", secret)
    found = wait_named(owner, worker, f"the Secret {secret} of {worker} was deleted from the host")
    run_printed(owner, found)
    owner.wait_booted(worker, boot)


def test_user_data_that_is_damaged(owner: Person, worker: str) -> None:
    boot = owner.boot_id(worker)
    name, body = read_user_data(owner, worker)
    replace_secret(owner, body, {**body["data"], "userdata": base64.b64encode(b"nothing of it").decode()})
    owner.delete_instance(worker)
    found = wait_named(owner, worker, f"the Secret {name} of {worker} holds no user-data of KinKy")
    run_printed(owner, found)
    owner.wait_booted(worker, boot)


def test_an_image_of_another_kubernetes_version(owner: Person, worker: str) -> None:
    boot, wanted = owner.boot_id(worker), owner.stack.config.cluster.kubernetes_version
    _, body = read_user_data(owner, worker)
    text = base64.b64decode(body["data"]["userdata"])
    said = f'"kubernetesVersion": "{wanted}"'.encode()
    assert said in text
    other = text.replace(said, b'"kubernetesVersion": "v1.0.0"')
    replace_secret(owner, body, {**body["data"], "userdata": base64.b64encode(other).decode()})
    owner.delete_instance(worker)
    found = wait_named(owner, worker, "carries another Kubernetes than", wanted)
    assert "image.reference" in found["next_step"]
    replace_secret(owner, body, body["data"])
    owner.delete_instance(worker)
    owner.wait_booted(worker, boot)


def test_a_data_disk_with_a_foreign_file_system(owner: Person, worker: str) -> None:
    boot = owner.boot_id(worker)
    guests.run(owner, worker, "e2label $(readlink -e /run/kinky-container/disk/kinky-data) foreign; sync")
    guests.run(owner, worker, "systemctl --no-block reboot")
    found = wait_named(owner, worker, f"the data disk of {worker} cannot be used", "foreign")
    run_printed(owner, found)
    owner.wait_booted(worker, boot)


def test_an_api_server_that_is_stopped(owner: Person, worker: str) -> None:
    plane = owner.control_plane
    boot = owner.boot_id(plane)
    guests.run(owner, plane, "mv /etc/kubernetes/manifests/kube-apiserver.yaml /root/")
    found = wait_named(owner, plane, f"the API server of {plane} does not run")
    run_printed(owner, found)
    owner.wait_booted(plane, boot)
    wait_up(owner, plane)


def test_a_binding_of_the_gate_that_is_deleted(owner: Person, worker: str) -> None:
    owner.kubectl("delete", "validatingadmissionpolicybinding", "kinky-gate")
    run_printed(owner, wait_named(owner, worker, "the gate has a hole"))
    wait_up(owner, worker)


def test_a_kubelet_that_is_stopped(owner: Person, worker: str) -> None:
    boot = owner.boot_id(worker)
    guests.run(owner, worker, "systemctl stop kubelet.service")
    found = wait_named(owner, worker, f"the kubelet of {worker} does not run", limit_seconds=UNKNOWN_SECONDS)
    run_printed(owner, found)
    owner.wait_booted(worker, boot)


def test_a_flannel_that_is_killed_and_kept_away(owner: Person, worker: str) -> None:
    owner.kubectl("delete", "daemonset", "flannel", "--namespace", names.NAMESPACE_SYSTEM)
    found = wait_named(owner, worker, f"the pod network of {worker} is not up: there is no pod of flannel on it")
    run_printed(owner, found)
    wait_up(owner, worker)


def test_a_guest_that_is_frozen(owner: Person, worker: str) -> None:
    boot = owner.boot_id(worker)
    with guests.frozen(owner, worker):
        found = wait_named(owner, worker, f"the guest of {worker} is frozen", limit_seconds=UNKNOWN_SECONDS)
        run_printed(owner, found)
        owner.wait_booted(worker, boot)
    wait_up(owner, worker)


def test_the_end_leaves_nothing(owner: Person) -> None:
    owner.destroy()
    assert owner.left_on_host() == set()


def read_template(owner: Person, node: str) -> dict[str, Any]:
    """Return what a node's VM makes its instances from."""
    body: dict[str, Any] = json.loads(owner.host("get", "virtualmachine", node, "--output", "json"))
    return dict(body["spec"]["template"]["spec"])


def patch_vm(owner: Person, node: str, path: str, value: Any) -> None:
    """Replace one value of a node's VM past Pulumi."""
    change = [{"op": "replace", "path": path, "value": value}]
    owner.host("patch", "virtualmachine", node, "--type", "json", "--patch", json.dumps(change))


def read_user_data(owner: Person, node: str) -> tuple[str, dict[str, Any]]:
    """Return the Secret with a node's user-data, and its name."""
    volume = next(each for each in read_template(owner, node)["volumes"] if "cloudInitNoCloud" in each)
    name = str(volume["cloudInitNoCloud"]["secretRef"]["name"])
    return name, json.loads(owner.host("get", "secret", name, "--output", "json"))


def replace_secret(owner: Person, body: dict[str, Any], data: dict[str, str]) -> None:
    """Put other data into an immutable Secret: it is deleted and made again, as by hand."""
    kept = {key: body["metadata"].get(key) for key in ("name", "labels", "annotations")}
    file: Path = owner.scratch / "secret.json"
    file.write_text(json.dumps({**body, "metadata": kept, "data": data}))
    owner.host("delete", "secret", kept["name"])
    owner.host("create", "--filename", str(file))


@contextmanager
def other_nodes_denied(owner: Person) -> Iterator[None]:
    """Drop what other pods send to the control plane's API while the block runs; the host's own node may ask it."""
    inside = ["nsenter", "--target", str(guests.find_launcher(owner, owner.control_plane)), "--net", "--"]
    route = process.run([*inside, "ip", "-4", "route", "show", "default"], reason="test")
    rule = f"iifname eth0 ip saddr != {route.split()[2]} tcp dport {names.ENDPOINT_PORT} drop"
    chain = f"chain in {{ type filter hook prerouting priority -400; {rule}; }}"
    process.run([*inside, "nft", f"table ip kinky_e2e {{ {chain}; }}"], reason="test")
    try:
        yield
    finally:
        process.run([*inside, "nft", "delete table ip kinky_e2e"], reason="test")
