"""The disks of VMs: which are found, what may be on them, and what must."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from kinky.embedded.layout import default_layout
from kinky.scan import disks
from kinky.scan.kind import Kind
from tests.unit.scan.machine import (
    CLAIM,
    CONTROL_PLANE,
    NAMESPACE,
    PKI,
    SECRETS,
    WORKER,
    WORKER_KEYS,
    WORKER_SECRET,
    Machine,
    add_vm,
    join,
    launcher,
    make_machine,
    write,
)

OURS = {Kind.VM_DISK, Kind.CREDENTIALS_DISK, Kind.INNER_ETCD}
STORE_VALUE = SECRETS["dev-store-message"]["message"]
ENCRYPTION_KEY = PKI["encryption-config.yaml"].partition(b'"secret": "')[2].partition(b'"')[0]
CA_DER = base64.b64decode(b"".join(PKI["ca.key"].splitlines()[1:-1]))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return make_machine(tmp_path, monkeypatch)


def unexpected(machine: Machine) -> set[tuple[str, str]]:
    return {(str(artefact.kind), secret.name) for artefact, secret in machine.scan().unexpected}


def missing(machine: Machine) -> set[tuple[str, str]]:
    return {
        (f"{each.place.kind} {each.place.name}" if each.place else "", each.secret.name)
        for each in machine.scan().missing
    }


def append(path: Path, content: bytes) -> None:
    write(path, path.read_bytes() + b"\0" * 4096 + content)


def test_a_stack_whose_disks_hold_what_they_must_passes(machine: Machine) -> None:
    report = machine.scan()
    assert (report.unexpected, report.missing, report.unread) == ((), (), ())
    assert {kind: report.tallies[kind].artefacts for kind in OURS} == {
        Kind.VM_DISK: 4,
        Kind.CREDENTIALS_DISK: 2,
        Kind.INNER_ETCD: 1,
    }
    assert report.secrets == 8, "markers are none"
    assert Kind.DISK_IMAGE not in report.tallies, "no disk is read twice"


def test_a_disk_is_called_by_its_pod_or_claim(machine: Machine) -> None:
    source, files = disks.find_disks(machine.api, default_layout().find_outside)
    named = {artefact.name for artefact in source.artefacts}
    assert {f"{CLAIM}/disk.img", f"{launcher(WORKER)}/{disks.DATA}", f"{launcher(WORKER)}/{disks.CREDENTIALS}"} <= named
    assert set(files) >= {machine.etcd, machine.disk(CONTROL_PLANE, disks.CREDENTIALS)}
    assert len(files) == 7


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (PKI["ca.key"], "dev-pki/ca.key"),
        (CA_DER, "dev-pki/ca.key"),
        (PKI["sa.key"], "dev-pki/sa.key"),
        (ENCRYPTION_KEY, "dev-pki/encryption-config.yaml"),
        (base64.b64decode(ENCRYPTION_KEY), "dev-pki/encryption-config.yaml"),
        (STORE_VALUE, "dev-store-message/message"),
        (b"x" + base64.b64encode(STORE_VALUE), "dev-store-message/message"),
    ],
    ids=["CA", "CA as DER", "ServiceAccount", "encryption", "encryption as bytes", "value", "value in base64"],
)
@pytest.mark.parametrize("where", ["worker's data", "control plane's data", "worker's credentials", "etcd"])
def test_a_secret_that_is_not_the_disks_own_is_a_leak(where: str, content: bytes, name: str, machine: Machine) -> None:
    path = {
        "worker's data": machine.disk(WORKER, disks.DATA),
        "control plane's data": machine.disk(CONTROL_PLANE, disks.DATA),
        "worker's credentials": machine.disk(WORKER, disks.CREDENTIALS),
        "etcd": machine.etcd,
    }[where]
    append(path, content)
    ((kind, found),) = unexpected(machine)
    assert found == name
    assert kind in OURS


def test_a_workers_data_disk_may_hold_its_own_client_key_and_no_other(machine: Machine) -> None:
    append(machine.disk(WORKER, disks.DATA), WORKER_KEYS["sa.key"])
    assert unexpected(machine) == set()
    append(machine.disk(WORKER, disks.DATA), WORKER_KEYS["ca.key"])
    append(machine.disk(CONTROL_PLANE, disks.DATA), WORKER_KEYS["sa.key"])
    assert unexpected(machine) == {
        ("VM disk", f"{WORKER_SECRET}/kubelet-serving.key"),
        ("VM disk", f"{WORKER_SECRET}/kubelet-client.key"),
    }


def test_a_worker_that_is_given_the_cas_keys_is_a_leak(machine: Machine) -> None:
    add_vm(machine, WORKER, secret="dev-pki")
    assert ("credentials disk", "dev-pki/ca.key") in unexpected(machine)


def test_s10_an_etcd_without_encrypted_values_fails(machine: Machine) -> None:
    write(machine.etcd, bytes(1144) + b"kinky-etcd" + b"k8s\0\n\x0c\n\x02v1\x12\x06Secret")
    assert missing(machine) == {(f"inner etcd {CLAIM}/*", "of encrypted values in etcd")}


def test_a_disk_that_cannot_be_found_fails(machine: Machine) -> None:
    machine.etcd.unlink()
    machine.disk(WORKER, disks.CREDENTIALS).unlink()
    machine.disk(WORKER, disks.DATA).unlink()
    told = missing(machine)
    assert {where for where, _ in told} == {
        f"inner etcd {CLAIM}/*",
        f"credentials disk {launcher(WORKER)}/{disks.CREDENTIALS}",
        f"VM disk {launcher(WORKER)}/{disks.DATA}",
    }
    assert (f"inner etcd {CLAIM}/*", "label of etcd's file system") in told


def test_each_key_of_a_control_plane_must_be_on_its_own_disk(machine: Machine) -> None:
    """That another disk has it is not enough."""
    write(machine.disk(CONTROL_PLANE, disks.CREDENTIALS), join({key: PKI[key] for key in PKI if key != "sa.key"}))
    where = f"credentials disk {launcher(CONTROL_PLANE)}/{disks.CREDENTIALS}"
    assert missing(machine) == {(where, "dev-pki/sa.key")}


def test_the_disks_of_a_vm_that_has_ended_may_be_gone(machine: Machine) -> None:
    add_vm(machine, WORKER, secret=WORKER_SECRET, phase="Succeeded")
    for path in (disks.CREDENTIALS, disks.DATA):
        machine.disk(WORKER, path).unlink()
    assert machine.scan().passed


def test_what_a_vm_has_left_behind_is_a_leak(machine: Machine) -> None:
    """Its pod is gone from the API, and its folder is not."""
    machine.connection.objects.pop(f"{NAMESPACE}/pods/{launcher(WORKER)}")
    assert {kind for kind, _ in unexpected(machine)} == {"disk image"}


def test_etcd_of_an_ephemeral_cluster_is_a_disk_of_the_vm(machine: Machine) -> None:
    machine.connection.objects.pop(f"{NAMESPACE}/persistentvolumeclaims/{CLAIM}")
    add_vm(machine, CONTROL_PLANE, secret="dev-pki")
    name = f"inner etcd {launcher(CONTROL_PLANE)}/{disks.EPHEMERAL_ETCD}"
    assert {where for where, _ in missing(machine)} == {name}
    write(machine.disk(CONTROL_PLANE, disks.EPHEMERAL_ETCD), machine.etcd.read_bytes())
    assert machine.scan().passed


def test_disks_of_container_guests_are_found_where_our_launcher_puts_them(machine: Machine) -> None:
    add_vm(machine, CONTROL_PLANE, secret="dev-pki", claim=CLAIM, container=True)
    add_vm(machine, WORKER, secret=WORKER_SECRET, container=True)
    report = machine.scan()
    assert (report.unexpected, report.missing, report.unread) == ((), (), ())
    assert {kind: report.tallies[kind].artefacts for kind in OURS if kind in report.tallies} == {
        Kind.VM_DISK: 2,
        Kind.INNER_ETCD: 1,
    }
    append(machine.disk(WORKER, disks.CONTAINER_DATA), PKI["ca.key"])
    assert unexpected(machine) == {("VM disk", "dev-pki/ca.key")}
    machine.disk(CONTROL_PLANE, disks.CONTAINER_DATA).unlink()
    assert {where for where, _ in missing(machine)} == {f"VM disk {launcher(CONTROL_PLANE)}/{disks.CONTAINER_DATA}"}


def test_etcd_of_an_ephemeral_container_guest_is_a_disk_of_its_pod(machine: Machine) -> None:
    machine.connection.objects.pop(f"{NAMESPACE}/persistentvolumeclaims/{CLAIM}")
    add_vm(machine, CONTROL_PLANE, secret="dev-pki", container=True)
    name = f"inner etcd {launcher(CONTROL_PLANE)}/{disks.CONTAINER_ETCD}"
    assert {where for where, _ in missing(machine)} == {name}
    write(machine.disk(CONTROL_PLANE, disks.CONTAINER_ETCD), machine.etcd.read_bytes())
    assert machine.scan().passed


def test_a_volume_that_is_no_folder_here_is_told_and_fails(machine: Machine) -> None:
    machine.connection.add("/api/v1/persistentvolumes", "pvc-1", spec={"csi": {"driver": "other"}})
    report = machine.scan()
    assert report.unread == (f"disks of {CLAIM}: a volume that is no folder is not on this machine",)
    assert not report.passed


def test_paths_outside_of_the_host_are_nowhere() -> None:
    layout = default_layout()
    assert layout.find_outside(Path("/tmp/hostpath_pv/a/disk.img")) == layout.volumes / "a" / "disk.img"
    assert layout.find_outside(Path("/var/lib/kubelet/pods")) == layout.root / "kubelet" / "pods"
    assert layout.find_outside(Path("/etc/passwd")) is None


def test_the_disks_of_another_host_are_told_not_to_be_scanned(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kinky.stacks.file.StackFile.embedded", False)
    report = machine.scan([])
    assert [line for line in report.to_lines() if "not looked at" in line] == [
        "not looked at: disks of the VMs: the host is not the embedded one, so they are not readable from here"
    ]
    assert not OURS & set(report.tallies)


def test_a_raw_etcd_must_hold_the_prefix_of_the_provider_in_use(machine: Machine) -> None:
    def expect(provider: str) -> set[bytes]:
        source, _ = disks.find_disks(machine.api, default_layout().find_outside, provider=provider)
        wanted = {place.secret for place in source.places if place.kind is Kind.INNER_ETCD}
        return {marker.reveal() for marker in source.markers if marker.name in wanted}

    assert expect("secretbox") == {b"kinky-etcd", b"k8s:enc:secretbox:v1:"}
    assert expect("kms") == {b"kinky-etcd", b"k8s:enc:kms:v2:kinky:"}
