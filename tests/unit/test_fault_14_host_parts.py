"""Fit looks at what would otherwise be found minutes later, half made: volumes, limits, nodes, addresses, ports."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kinky import names, paths, process
from kinky.bootstrap import fit_ports
from tests.unit.fake_api import FakeConnection
from tests.unit.fitting_host import build_host, fits, make_config, refuse

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = "/api/v1/persistentvolumes"
NODE = "/api/v1/nodes/n"
LABELS = {"kinky.dev/cluster": "dev", "app.kubernetes.io/managed-by": "kinky"}
FORBIDDEN = {"reason": "Forbidden"}
is_free = fit_ports.is_free


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeConnection:
    return build_host(monkeypatch, tmp_path)


def lose_default(host: FakeConnection) -> None:
    del host.objects[f"{CLASSES}/local"]["metadata"]["annotations"]


def add_volume(
    host: FakeConnection, name: str, *, storage_class: str, size: str = "2Gi", phase: str = "Available"
) -> None:
    spec = {"storageClassName": storage_class, "capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"]}
    host.add(VOLUMES, name, spec=spec, status={"phase": phase})


def make_vms(host: FakeConnection) -> None:
    for name in ("dev-control-plane-0", "dev-worker-0"):
        host.add("/apis/kubevirt.io/v1/namespaces/ns/virtualmachines", name, metadata={"labels": LABELS})
    host.add("/api/v1/namespaces/ns/persistentvolumeclaims", "dev-control-plane-0-etcd", metadata={"labels": LABELS})


def test_fault_14_no_default_storage_class(host: FakeConnection) -> None:
    lose_default(host)
    message = refuse(make_config())
    assert "no StorageClass is the default, and controlPlane.etcdStorageClass names none; there are: local" in message
    assert "hint: set controlPlane.etcdStorageClass" in message
    assert fits(make_config(controlPlane={"etcdStorageClass": "local"})) == ()
    assert fits(make_config(cluster={"name": "dev", "ephemeral": True})) == ()


def test_fault_14_a_storage_class_that_is_not_there(host: FakeConnection) -> None:
    assert "controlPlane.etcdStorageClass = gold: there is no such StorageClass; there are: local" in refuse(
        make_config(controlPlane={"etcdStorageClass": "gold"})
    )


def test_fault_14_volumes_that_are_there_need_no_storage_class(host: FakeConnection) -> None:
    lose_default(host)
    make_vms(host)
    assert fits(make_config()) == ()


def test_fault_09_volumes_made_by_hand_need_no_storage_class(host: FakeConnection) -> None:
    lose_default(host)
    add_volume(host, "small", storage_class="", size="1Gi")
    add_volume(host, "used", storage_class="", phase="Bound")
    assert "free volumes made by hand with 2 GiB: 0, needed: 1" in refuse(make_config())
    add_volume(host, "fine", storage_class="")
    assert fits(make_config()) == ()
    add_volume(host, "by-hand", storage_class="manual")
    assert fits(make_config(controlPlane={"etcdStorageClass": "manual"})) == ()


def test_fault_14_a_storage_class_without_provisioner_and_volumes(host: FakeConnection) -> None:
    host.objects[f"{CLASSES}/local"]["provisioner"] = "kubernetes.io/no-provisioner"
    assert "StorageClass local makes no volumes" in refuse(make_config())


def test_fault_14_unread_storage_is_a_warning(host: FakeConnection) -> None:
    lose_default(host)
    host.answer("GET", VOLUMES, FORBIDDEN, status=403)
    (warning,) = fits(make_config())
    assert warning.startswith("no StorageClass is the default")
    host.answer("GET", CLASSES, FORBIDDEN, status=403)
    (warning,) = fits(make_config(controlPlane={"etcdStorageClass": "gold"}))
    assert "storageclasses (the StorageClass of the etcd volumes)" in warning


def add_limits(host: FakeConnection, kind: str, **bounds: dict[str, str]) -> None:
    """Add a limit range as the API would return it: with the defaults that it fills in itself."""
    if kind == "Container":
        default = {**bounds.get("max", {}), **bounds.get("default", {})}
        requests = {**bounds.get("min", {}), **default, **bounds.get("defaultRequest", {})}
        bounds = bounds | ({"default": default} if default else {}) | ({"defaultRequest": requests} if requests else {})
    host.add("/api/v1/namespaces/ns/limitranges", "lr", spec={"limits": [{"type": kind, **bounds}]})


@pytest.mark.parametrize(
    ("kind", "bounds", "told"),
    [
        (
            "Container",
            {"max": {"memory": "2Gi"}},
            "limit range lr: container compute gets the limit 2048 MiB of memory, and asks for 3272 MiB (dev-control-",
        ),
        ("Container", {"default": {"memory": "1Gi"}}, "gets the limit 1024 MiB of memory, and asks for 3272 MiB"),
        ("Container", {"default": {"cpu": "100m"}}, "container compute gets the limit 0.1 of cpu, and asks for 0.2"),
        ("Container", {"min": {"memory": "64Mi"}}, "container volumeroot asks for 1 MiB of memory, at least 64 MiB"),
        (
            "Container",
            {"maxLimitRequestRatio": {"cpu": "2"}, "default": {"cpu": "4"}},
            "container compute: the limit of cpu is 20 times the request, at most 2 is allowed",
        ),
        ("Pod", {"max": {"memory": "3Gi"}}, "pod needs 3273 MiB of memory, at most 3072 MiB is allowed"),
        ("Pod", {"min": {"memory": "64Gi"}}, "pod asks for 3273 MiB of memory, at least 65536 MiB is allowed"),
        ("PersistentVolumeClaim", {"max": {"storage": "1Gi"}}, "claim needs 2048 MiB of storage, at most 1024 MiB"),
        (
            "PersistentVolumeClaim",
            {"min": {"storage": "10Gi"}},
            "claim asks for 2048 MiB of storage, at least 10240 MiB",
        ),
    ],
)
def test_fault_14_limit_ranges(host: FakeConnection, kind: str, bounds: dict[str, Any], told: str) -> None:
    add_limits(host, kind, **bounds)
    message = refuse(make_config())
    assert told in message
    assert "LimitRange" in message
    make_vms(host)
    assert fits(make_config()) == ()


@pytest.mark.parametrize(
    ("kind", "bounds"),
    [
        ("Container", {"max": {"memory": "8Gi", "cpu": "4"}, "default": {"memory": "8Gi"}}),
        ("Container", {"min": {"memory": "1M", "cpu": "1m"}}),
        ("Container", {"defaultRequest": {"memory": "64Mi", "cpu": "10m"}}),
        ("Pod", {"max": {"memory": "8Gi"}, "min": {"cpu": "100m"}}),
        ("PersistentVolumeClaim", {"min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}),
    ],
)
def test_fault_09_limit_ranges_that_let_everything_in(host: FakeConnection, kind: str, bounds: dict[str, Any]) -> None:
    add_limits(host, kind, **bounds)
    assert fits(make_config()) == ()


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


def test_fault_14_services_without_ipv4(host: FakeConnection) -> None:
    host.add("/apis/networking.k8s.io/v1/servicecidrs", "kubernetes", spec={"cidrs": ["fd00:10::/108"]})
    assert "the host's Services have no IPv4 addresses, which the cluster's Services need: fd00:10::/108" in refuse(
        make_config()
    )
    host.add("/apis/networking.k8s.io/v1/servicecidrs", "more", spec={"cidrs": ["10.99.0.0/16"]})
    assert fits(make_config()) == ()


def test_fault_14_services_that_may_have_no_ipv4_are_a_warning(host: FakeConnection) -> None:
    host.add("/api/v1/namespaces/default/services", "kubernetes", spec={"clusterIP": "fd00:10::1"})
    (warning,) = fits(make_config())
    assert "may have no IPv4 addresses" in warning


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port of this machine on which somebody listens."""
    monkeypatch.setattr(fit_ports, "is_free", is_free)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield int(holder.getsockname()[1])


def record_forward(cluster: str, port: int, monkeypatch: pytest.MonkeyPatch, *, alive: bool) -> None:
    folder = paths.stack_dir(cluster)
    (folder / "forward.json").write_text(
        json.dumps({"cluster": cluster, "kubeconfig": "/k", "context": None, "namespace": "ns", "local_port": port})
    )
    (folder / "forward.pid").write_text("4711\n")
    monkeypatch.setattr(process, "is_alive", lambda pid, *, expect: alive and pid == 4711 and cluster in expect)


def test_fault_14_a_local_port_that_another_program_has(
    host: FakeConnection, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(access={"localPort": taken})
    expected = f"local port {taken} (access.localPort) is taken by another program"
    assert expected in refuse(config)
    record_forward("dev", taken, monkeypatch, alive=False)
    assert expected in refuse(config), "a forward that was killed holds no port"
    monkeypatch.setattr("kinky.names.forward_port", lambda _cluster: taken)
    assert "(the port that follows from cluster.name dev)" in refuse(make_config())
    assert fits(make_config(access={"mode": "loadBalancer"})) == ()


def test_fault_14_the_cluster_s_own_forward_may_run(
    host: FakeConnection, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_forward("dev", taken, monkeypatch, alive=True)
    assert fits(make_config(access={"localPort": taken})) == ()


def test_fault_14_another_cluster_s_forward_is_named(
    host: FakeConnection, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_forward("other", taken, monkeypatch, alive=True)
    assert "is taken by the forward of inner cluster other" in refuse(make_config(access={"localPort": taken}))


def test_fault_14_a_node_port_that_another_service_has(host: FakeConnection) -> None:
    ports = [{"port": 80, "nodePort": 31000}]
    host.add("/api/v1/namespaces/web/services", "shop", spec={"ports": ports, "healthCheckNodePort": 31001})
    config = make_config(access={"mode": "nodePort", "nodePort": 31000})
    assert "access.nodePort = 31000: Service web/shop of the host has it" in refuse(config)
    assert "31001: Service web/shop" in refuse(make_config(access={"mode": "nodePort", "nodePort": 31001}))
    del host.objects["/api/v1/namespaces/web/services/shop"]
    own = {"labels": names.cluster_labels("dev")}
    host.add("/api/v1/namespaces/ns/services", "dev-endpoint", metadata=own, spec={"ports": ports})
    assert fits(config) == (), "it is the cluster's own"


def test_fault_14_a_node_port_outside_the_usual_range(host: FakeConnection) -> None:
    config = make_config(access={"mode": "nodePort", "nodePort": 20443})
    (warning,) = fits(config)
    assert warning.startswith("access.nodePort = 20443 is not in 30000 to 32767")
    host.add("/api/v1/namespaces/web/services", "shop", spec={"ports": [{"nodePort": 20080}]})
    assert fits(config) == (), "a host with another range"


def test_fault_14_all_of_it_is_told_together_and_nothing_is_touched(host: FakeConnection) -> None:
    before = dict(host.objects)
    lose_default(host)
    host.objects[NODE]["spec"]["unschedulable"] = True
    add_limits(host, "PersistentVolumeClaim", max={"storage": "1Gi"})
    host.add("/apis/networking.k8s.io/v1/servicecidrs", "kubernetes", spec={"cidrs": ["fd00::/108"]})
    assert "does not fit: 4 problems; nothing was touched" in refuse(make_config())
    assert before.items() <= host.objects.items()


def test_fault_14_a_preview_stays_cheap(host: FakeConnection) -> None:
    assert fits(make_config()) == ()
    reads = [path for method, path in host.calls if method == "GET"]
    assert reads.count("/api/v1/nodes") == 1, "a large host's longest list"
    assert len(reads) <= 25, "of which nine look for names that are taken, side by side"
