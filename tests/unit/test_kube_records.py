"""Parsing of what the APIs return, from nothing to everything."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kinky.kube.kubeconfig import build_exec_credential, build_kubeconfig, write_private
from kinky.kube.records import (
    ClaimRecord,
    LauncherPod,
    NodeStatus,
    PodStatus,
    VmiStatus,
    VmStatus,
    parse_volume_folder,
)
from kinky.kube.resources import NODES, PODS, VIRTUAL_MACHINES


def test_paths() -> None:
    assert PODS.build_path("ns", "p", "log") == "/api/v1/namespaces/ns/pods/p/log"
    assert VIRTUAL_MACHINES.build_path("ns") == "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines"
    assert NODES.build_path("ignored", "n") == "/api/v1/nodes/n"
    assert PODS.build_path(None) == "/api/v1/pods"


def test_vm_that_kubevirt_has_not_seen() -> None:
    vm = VmStatus.parse({"metadata": {"name": "a"}})
    assert (vm.printable, vm.ready, vm.failure) == ("not seen by KubeVirt yet", False, "")


def test_vm_failure_only_while_it_is_true() -> None:
    condition = {"type": "Failure", "status": "True", "message": "no room"}
    body = {"metadata": {"name": "a"}, "status": {"conditions": [condition]}}
    assert VmStatus.parse(body).failure == "no room"
    condition["status"] = "False"
    assert VmStatus.parse(body).failure == ""


def test_vmi_tells_conditions_that_are_wrong() -> None:
    vmi = VmiStatus.parse(
        {
            "metadata": {"name": "a", "uid": "u"},
            "status": {
                "phase": "Scheduling",
                "phaseTransitionTimestamps": [{"phase": "Running", "phaseTransitionTimestamp": "T"}],
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"},
                    {"type": "LiveMigratable", "status": "False", "reason": "X"},
                    {"type": "Ready", "status": "True"},
                ],
            },
        }
    )
    assert vmi.conditions == ("PodScheduled=False Unschedulable: no node",)
    assert (vmi.running_since, vmi.ready) == ("T", True)


def test_pod_waiting_containers_include_init_ones() -> None:
    pod = PodStatus.parse(
        {
            "metadata": {"name": "p"},
            "spec": {"initContainers": [{"name": "guest-console-log"}], "containers": [{"name": "compute"}]},
            "status": {
                "phase": "Pending",
                "containerStatuses": [
                    {"name": "compute", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}},
                    {"name": "other", "state": {"running": {}}},
                ],
            },
        }
    )
    assert pod.containers == ("guest-console-log", "compute")
    assert pod.waiting == ("compute: ErrImagePull not found",)


def test_node() -> None:
    node = NodeStatus.parse(
        {
            "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/control-plane": ""}},
            "status": {
                "addresses": [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "10.0.0.1"}],
                "nodeInfo": {"kubeletVersion": "v1.36.3", "bootID": "b"},
                "conditions": [{"type": "Ready", "status": "False", "message": "cni plugin not initialized"}],
            },
        }
    )
    assert (node.ready, node.reason, node.internal_ip) == (False, "cni plugin not initialized", "10.0.0.1")
    assert node.control_plane
    assert NodeStatus.parse({"metadata": {"name": "n"}}).reason == "kubelet has not reported yet"


def test_kubeconfig_holds_a_command_and_no_key() -> None:
    body = build_kubeconfig(
        "dev", server="https://127.0.0.1:1", tls_server_name="n", ca_file=Path("/ca"), command="/k", arguments=["c"]
    )
    user = body["users"][0]["user"]
    assert set(user) == {"exec"}
    assert user["exec"]["command"] == "/k"
    assert body["clusters"][0]["cluster"]["tls-server-name"] == "n"


def test_exec_credential() -> None:
    body = build_exec_credential(certificate="c", key="k", expires_at="t")
    assert body["status"] == {"expirationTimestamp": "t", "clientCertificateData": "c", "clientKeyData": "k"}


def test_threads_that_write_one_file_do_not_take_it_from_each_other(tmp_path: Path) -> None:
    """Pulumi runs live steps in threads, and each writes the CAs that it was told."""
    path, content = tmp_path / "ca.crt", b"x" * 4000

    def write(_number: int) -> bytes:
        write_private(path, content)
        return path.read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(write, range(500))) == {content}
    assert [each.name for each in tmp_path.iterdir()] == ["ca.crt"]


def test_launcher_pod_tells_whose_volumes_it_has() -> None:
    body = {
        "metadata": {"name": "virt-launcher-a-x", "uid": "u", "labels": {"kinky.dev/node": "a"}},
        "spec": {
            "volumes": [
                {"name": "private", "emptyDir": {}},
                {"name": "credentials", "secret": {"secretName": "dev-pki"}},
                {"name": "etcd", "persistentVolumeClaim": {"claimName": "a-etcd"}},
                {"name": "other", "configMap": {"name": "c"}},
            ]
        },
        "status": {"phase": "Running"},
    }
    pod = LauncherPod.parse(body)
    assert (pod.uid, pod.running, pod.labels) == ("u", True, {"kinky.dev/node": "a"})
    assert (pod.empty_dirs, pod.secrets, pod.claims) == (("private",), {"credentials": "dev-pki"}, {"etcd": "a-etcd"})
    deleting = {**body, "metadata": {"name": "a", "deletionTimestamp": "T"}}
    assert not LauncherPod.parse(deleting).running
    assert LauncherPod.parse({"metadata": {"name": "a"}}).empty_dirs == ()


def test_volume_of_a_claim() -> None:
    assert ClaimRecord.parse({"metadata": {"name": "a-etcd"}, "spec": {"volumeName": "pvc-1"}}).volume == "pvc-1"
    assert ClaimRecord.parse({"metadata": {"name": "a-etcd"}}).volume == ""
    assert parse_volume_folder({"spec": {"hostPath": {"path": "/tmp/a"}}}) == Path("/tmp/a")
    assert parse_volume_folder({"spec": {"local": {"path": "/mnt/b"}}}) == Path("/mnt/b")
    assert parse_volume_folder({"spec": {"csi": {"driver": "d"}}}) is None
