from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from kinky.accelerator import Accelerator
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.manifests import storage, virtual_machine
from kinky.manifests.body import Body, binary_quantity
from kinky.topology.nodes import NodeSpec, build_nodes
from tests.unit.documents import walk


def config(**sections: Any) -> KinkyConfig:
    return load_config({"cluster": {"name": "t"}, "host": {"embedded": True}, **sections}, source="test")


def body(cfg: KinkyConfig, node: NodeSpec, *, accelerator: Accelerator = Accelerator.KVM) -> Body:
    return virtual_machine.build_virtual_machine(
        cfg, node, image="image", user_data_secret="ud", credentials_secret="keys", accelerator=accelerator
    )


def instance(cfg: KinkyConfig, index: int = 0, *, accelerator: Accelerator = Accelerator.KVM) -> Body:
    spec: Body = body(cfg, build_nodes(cfg)[index], accelerator=accelerator)["spec"]["template"]["spec"]
    return spec


def test_every_disk_has_its_volume_and_every_volume_its_disk() -> None:
    for cfg in (config(), config(cluster={"name": "t", "ephemeral": True})):
        for index in (0, 1):
            spec = instance(cfg, index)
            disks = [disk["name"] for disk in spec["domain"]["devices"]["disks"]]
            assert sorted(disks) == sorted(volume["name"] for volume in spec["volumes"])
            assert len(set(disks)) == len(disks)


def test_disks_have_the_serials_that_the_guest_looks_for() -> None:
    serials = [disk.get("serial") for disk in instance(config())["domain"]["devices"]["disks"]]
    assert serials == [None, None, "kinky-creds", "kinky-data", "kinky-etcd"]
    assert all(len(serial) <= 20 for serial in serials if serial)
    worker = [disk.get("serial") for disk in instance(config(), 1)["domain"]["devices"]["disks"]]
    assert "kinky-etcd" not in worker


def test_user_data_comes_by_reference_only() -> None:
    spec = instance(config())
    assert not {"userData", "userDataBase64", "networkData", "networkDataBase64"} & {key for key, _ in walk(spec)}
    assert {
        "name": "cidata",
        "cloudInitNoCloud": {"secretRef": {"name": "ud"}, "networkDataSecretRef": {"name": "ud"}},
    } in (spec["volumes"])


def test_etcd_is_on_a_claim_or_for_an_ephemeral_cluster_on_an_empty_disk() -> None:
    kept, thrown = config(), config(cluster={"name": "t", "ephemeral": True}, controlPlane={"etcdGib": 3})
    assert instance(kept)["volumes"][-1] == {
        "name": "etcd",
        "persistentVolumeClaim": {"claimName": "t-control-plane-0-etcd"},
    }
    assert instance(thrown)["volumes"][-1] == {"name": "etcd", "emptyDisk": {"capacity": "3Gi"}}
    assert storage.has_etcd_claim(kept, build_nodes(kept)[0])
    assert not storage.has_etcd_claim(thrown, build_nodes(thrown)[0])
    assert not storage.has_etcd_claim(kept, build_nodes(kept)[1])


def test_a_claim_names_a_class_only_when_asked() -> None:
    cfg = config(controlPlane={"etcdStorageClass": "fast", "etcdGib": 4})
    assert storage.build_etcd_claim(cfg, build_nodes(cfg)[0])["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": "4Gi"}},
        "storageClassName": "fast",
    }
    assert "storageClassName" not in storage.build_etcd_claim(config(), build_nodes(config())[0])["spec"]
    with pytest.raises(ValueError, match="no etcd disk"):
        storage.build_etcd_claim(cfg, build_nodes(cfg)[1])


def test_identity_is_the_same_at_every_run_and_another_for_every_node() -> None:
    cfg = config(workers=[{"pool": "worker", "replicas": 50}])
    nodes = build_nodes(cfg)
    addresses = [virtual_machine.mac_address(cfg, node) for node in nodes]
    assert addresses == [virtual_machine.mac_address(cfg, node) for node in nodes]
    assert len(set(addresses)) == len(nodes)
    assert all(re.fullmatch("02(:[0-9a-f]{2}){5}", address) for address in addresses)
    elsewhere = config(host={"embedded": True, "namespace": "other"})
    assert virtual_machine.virtual_machine_uuid(elsewhere, nodes[0]) != virtual_machine.virtual_machine_uuid(
        cfg, nodes[0]
    )


def test_what_kubevirt_would_fill_in_is_written_out() -> None:
    template = body(config(), build_nodes(config())[0])["spec"]["template"]["spec"]
    domain = template["domain"]
    assert template["architecture"] == "amd64" and template["evictionStrategy"] == "LiveMigrateIfPossible"
    assert domain["machine"] == {"type": "q35"}
    assert set(domain["firmware"]) == {"uuid", "serial", "bootloader"}
    assert domain["cpu"] == {"sockets": 1, "cores": 2, "threads": 1, "maxSockets": 1}
    assert template["volumes"][0]["containerDisk"]["imagePullPolicy"] == "IfNotPresent"
    assert template["networks"] == [{"name": "default", "pod": {}}]
    assert domain["devices"]["interfaces"][0]["masquerade"] == {}
    assert "ports" not in domain["devices"]["interfaces"][0]


def test_memory_is_written_as_the_api_would_and_its_maximum_only_where_it_is_allowed() -> None:
    assert instance(config())["domain"]["memory"] == {"guest": "3Gi", "maxGuest": "3Gi"}
    odd = config(workers=[{"pool": "worker", "memoryMib": 1537}])
    assert instance(odd, 1)["domain"]["memory"] == {"guest": "1537Mi"}
    small = dataclasses.replace(build_nodes(config())[1], memory_mib=512)
    assert body(config(), small)["spec"]["template"]["spec"]["domain"]["memory"] == {"guest": "512Mi"}


@pytest.mark.parametrize(
    ("mib", "text"), [(0, "0Mi"), (1, "1Mi"), (1024, "1Gi"), (1536, "1536Mi"), (3072, "3Gi"), (1048576, "1Ti")]
)
def test_quantities_are_canonical(mib: int, text: str) -> None:
    assert binary_quantity(mib) == text


def test_only_an_emulated_guest_is_told_so() -> None:
    assert instance(config(), accelerator=Accelerator.EMULATION)["domain"]["chassis"] == {"asset": "emulated"}
    for other in set(Accelerator) - {Accelerator.EMULATION}:
        assert "chassis" not in instance(config(), accelerator=other)["domain"]


@pytest.mark.parametrize(
    ("accelerator", "queues"),
    [
        (Accelerator.KVM, True),
        (Accelerator.UNKNOWN, True),
        (Accelerator.EMULATION, False),
        (Accelerator.CONTAINER, False),
    ],
)
def test_a_network_card_has_several_queues_where_they_spread_load(accelerator: Accelerator, queues: bool) -> None:
    assert instance(config(), accelerator=accelerator)["domain"]["devices"]["networkInterfaceMultiqueue"] is queues


def test_a_container_guest_is_ended_by_an_eviction_because_it_cannot_move() -> None:
    assert instance(config())["evictionStrategy"] == "LiveMigrateIfPossible"
    assert instance(config(), accelerator=Accelerator.CONTAINER)["evictionStrategy"] == "None"
    asked = config(virtualMachine={"evictionStrategy": "LiveMigrate"})
    assert instance(asked, accelerator=Accelerator.CONTAINER)["evictionStrategy"] == "LiveMigrate"


def test_firmware_and_processor_model_follow_the_configuration() -> None:
    cfg = config(virtualMachine={"firmware": "uefi", "cpuModel": "Nehalem", "serialConsoleLog": "never"})
    domain = instance(cfg)["domain"]
    assert domain["firmware"]["bootloader"] == {"efi": {"secureBoot": False}}
    assert domain["cpu"]["model"] == "Nehalem"
    assert domain["devices"]["logSerialConsole"] is False
    assert instance(config())["domain"]["firmware"]["bootloader"] == {"bios": {}}
    assert "model" not in instance(config())["domain"]["cpu"]


def test_only_a_control_plane_is_probed_and_it_may_miss_a_minute() -> None:
    probe = instance(config())["readinessProbe"]
    assert probe["httpGet"] == {"path": "/readyz", "port": 6443, "scheme": "HTTPS"}
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 60
    assert "readinessProbe" not in instance(config(), 1)
    assert "livenessProbe" not in instance(config())  # it would kill the VM


def test_the_launcher_pod_carries_the_labels_that_services_select() -> None:
    made = body(config(), build_nodes(config())[0])
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert labels == made["metadata"]["labels"]
    assert labels["kinky.dev/cluster"] == "t" and labels["kinky.dev/node"] == "t-control-plane-0"
    assert labels["kinky.dev/role"] == labels["kinky.dev/pool"] == "control-plane"
