"""Fit looks at the host's nodes: whether one can run a VM, has the devices, and has room."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.fake_api import FakeConnection
from tests.unit.fit.objects import CLASSES, FORBIDDEN, NODE, make_vms
from tests.unit.fitting_host import fits, make_config, refuse


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"metadata": {"labels": {"kubernetes.io/arch": "arm64"}}}, "n: has architecture arm64, the node image amd64"),
        ({"spec": {"unschedulable": True}}, "n: is cordoned"),
        ({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, "n: is not Ready"),
        (
            {"metadata": {"labels": {"kubevirt.io/schedulable": "false"}}},
            "n: has no label kubevirt.io/schedulable=true",
        ),
        ({"spec": {"taints": [{"key": "a", "effect": "NoExecute"}]}}, "n: has the taint a:NoExecute"),
    ],
)
def test_fault_14_no_node_can_run_a_vm(host: FakeConnection, change: dict[str, Any], told: str) -> None:
    for part, fields in change.items():
        for key, value in fields.items():
            found = host.objects[NODE][part]
            found[key] = {**found.get(key, {}), **value} if isinstance(value, dict) else value
    message = refuse(make_config())
    assert "no node of the host can run a VM: " in message
    assert told in message
    make_vms(host)
    assert fits(make_config()) == (), "VMs that run already are left alone"


def test_fault_25_a_virt_handler_that_is_about_to_start_is_waited_for(host: FakeConnection) -> None:
    metadata = host.objects[NODE]["metadata"]
    metadata["labels"]["kubevirt.io/schedulable"] = "false"
    assert "n: has no label kubevirt.io/schedulable=true" in refuse(make_config())
    metadata["annotations"] = {"kubevirt.io/heartbeat": (datetime.now(UTC) - timedelta(minutes=10)).isoformat()}
    assert "n: has no label kubevirt.io/schedulable=true" in refuse(make_config()), "it has died"
    metadata["annotations"]["kubevirt.io/heartbeat"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    (warning,) = fits(make_config())
    assert "a virt-handler is about to start" in warning
    host.objects[NODE]["spec"]["unschedulable"] = True
    assert "n: is cordoned" in refuse(make_config())


def test_fault_14_one_node_that_can_is_enough(host: FakeConnection) -> None:
    node = host.objects[NODE]
    host.add("/api/v1/nodes", "m", metadata={"labels": {}}, spec={"unschedulable": True}, status={})
    node["spec"]["taints"] = [{"key": "a", "effect": "PreferNoSchedule"}]
    assert fits(make_config()) == ()


def test_fault_14_the_nodes_that_kubevirt_s_settings_ask_for(host: FakeConnection) -> None:
    (kubevirt,) = [body for path, body in host.objects.items() if "/kubevirts/" in path]
    kubevirt["spec"]["configuration"]["developerConfiguration"]["nodeSelectors"] = {"vms": "yes"}
    assert "n: has no label vms=yes, which KubeVirt's nodeSelectors ask for" in refuse(make_config())
    host.objects[NODE]["metadata"]["labels"]["vms"] = "yes"
    assert fits(make_config()) == ()


@pytest.mark.parametrize(
    ("item", "amount", "told"),
    [
        ("memory", "3Gi", "VM dev-control-plane-0 fits no node of the host: n: 3072 MiB of memory, needed 3272 MiB"),
        ("cpu", "150m", "VM dev-control-plane-0 fits no node of the host: n: 0.15 of cpu, needed 0.2"),
        ("devices.kubevirt.io/tun", "0", "n: 0 of devices.kubevirt.io/tun, needed 1"),
    ],
)
def test_fault_14_no_node_has_room_for_the_largest_vm(host: FakeConnection, item: str, amount: str, told: str) -> None:
    host.objects[NODE]["status"]["allocatable"][item] = amount
    assert told in refuse(make_config())


def test_fault_14_a_device_that_no_node_has_is_told_once(host: FakeConnection) -> None:
    host.objects[NODE]["status"]["allocatable"]["devices.kubevirt.io/kvm"] = "0"
    message = refuse(make_config())
    assert "no node offers devices.kubevirt.io/kvm" in message
    assert "1 problem" in message


def test_fault_14_what_does_not_rest_on_kubevirt_s_settings_is_refused_without_them(host: FakeConnection) -> None:
    host.answer("GET", "/apis/kubevirt.io/v1/kubevirts", FORBIDDEN, status=403)
    host.objects[NODE]["status"]["allocatable"]["memory"] = "1Gi"
    assert any("fits no node of the host" in warning for warning in fits(make_config()))
    host.objects[NODE]["spec"]["unschedulable"] = True
    assert "n: is cordoned" in refuse(make_config())


def test_fault_14_a_processor_model_on_no_node(host: FakeConnection) -> None:
    labels = host.objects[NODE]["metadata"]["labels"]
    labels["cpu-model.node.kubevirt.io/Penryn"] = "true"
    assert "virtualMachine.cpuModel = Skylake-Server: no node that can run a VM offers it; offered: Penryn" in refuse(
        make_config(virtualMachine={"cpuModel": "Skylake-Server"})
    )
    for model in ("Penryn", "host-model", "host-passthrough"):
        assert fits(make_config(virtualMachine={"cpuModel": model})) == ()


def test_fault_14_unread_nodes_are_one_warning_with_the_others(host: FakeConnection) -> None:
    for path in ("/api/v1/nodes", "/api/v1/pods", CLASSES, "/api/v1/namespaces/ns/limitranges"):
        host.answer("GET", path, FORBIDDEN, status=403)
    (warning,) = fits(make_config(virtualMachine={"cpuModel": "Skylake-Server"}))
    assert all(kind in warning for kind in ("nodes", "pods", "storageclasses", "limitranges"))
