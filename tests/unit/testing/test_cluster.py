"""What a test does to nodes, and how it asks the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kinky import paths, process
from kinky.errors import KinkyError, WaitError
from kinky.kube.host import HostApi
from kinky.testing import cluster as module
from kinky.testing.cluster import InnerCluster
from tests.unit.fake_api import FakeClock, answer_node
from tests.unit.image_archives import write_oci
from tests.unit.testing.conftest import Machine

VMS = "/apis/kubevirt.io/v1/namespaces/kinky-tests/virtualmachines"
VMIS = "/apis/kubevirt.io/v1/namespaces/kinky-tests/virtualmachineinstances"


@pytest.fixture
def made(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> InnerCluster:
    found = machine.begin().shared()
    monkeypatch.setattr(module, "find_reach", machine.find_reach)
    for node in found.nodes:
        labels = {"kinky.dev/cluster": found.name}
        machine.host.add(VMS, node, metadata={"labels": labels}, spec={"runStrategy": "Always"})
        machine.host.add(VMIS, node, metadata={"labels": labels, "uid": f"{node}-1"}, status={"phase": "Running"})
        boot(machine, node, "boot-1")
    return found


def boot(machine: Machine, node: str, boot_id: str, *, ready: bool = True) -> None:
    machine.inner.objects.pop(f"/api/v1/nodes/{node}", None)
    answer_node(machine.inner, node, ready=ready, address="10.96.0.2", labels={})
    machine.inner.objects[f"/api/v1/nodes/{node}"]["status"]["nodeInfo"] = {"bootID": boot_id}


def test_a_stopped_node_is_ready_again_after_another_boot(
    machine: Machine, made: InnerCluster, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = made.nodes[-1]
    patch = HostApi.patch

    def patched(api: HostApi, resource: Any, name: str, body: Any, **options: Any) -> Any:
        if body["spec"]["runStrategy"] == "Halted":
            machine.host.objects.pop(f"{VMIS}/{name}")
        return patch(api, resource, name, body, **options)

    monkeypatch.setattr(HostApi, "patch", patched)
    made.wait_ready()
    made.stop_node(worker)
    assert machine.host.objects[f"{VMS}/{worker}"]["spec"]["runStrategy"] == "Halted"
    made.start_node(worker)
    assert machine.host.objects[f"{VMS}/{worker}"]["spec"]["runStrategy"] == "Always"
    with pytest.raises(WaitError, match=f"{worker} has not booted again"):
        made.wait_ready(worker, limit_seconds=5)
    boot(machine, worker, "boot-2")
    made.wait_ready(worker, limit_seconds=5)


def test_a_deleted_node_is_another_instance(
    machine: Machine, made: InnerCluster, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = made.nodes[-1]
    with pytest.raises(WaitError, match="another instance"):
        made.delete_node(worker)
    machine.host.add(VMIS, worker, metadata={"labels": {"kinky.dev/cluster": made.name}, "uid": "1"})
    delete = HostApi.delete

    def deleted(api: HostApi, resource: Any, name: str, **options: Any) -> bool:
        done = delete(api, resource, name, **options)
        machine.host.add(VMIS, name, metadata={"labels": {"kinky.dev/cluster": made.name}, "uid": "2"})
        return done

    monkeypatch.setattr(HostApi, "delete", deleted)
    made.delete_node(worker)
    boot(machine, worker, "boot-2", ready=False)
    with pytest.raises(WaitError, match=f"{worker} is not Ready: no CNI"):
        made.wait_ready(worker, limit_seconds=5)


def test_a_node_that_is_not_there_is_named(made: InnerCluster) -> None:
    for act in (made.stop_node, made.start_node, made.delete_node, made.wait_ready):
        with pytest.raises(KinkyError, match=r"no such node: absent(.|\n)*nodes of the cluster: t-"):
            act("absent")


def test_kubectl_asks_in_the_namespace_of_the_run(made: InnerCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(process, "run", lambda argv, **options: asked.append((argv, options)) or "pod/a\n")
    monkeypatch.setattr("kinky.toolchain.tools.tool_path", lambda name: Path("/tools") / name)
    assert made.kubectl("apply", "--filename", "-", stdin=b"{}") == "pod/a\n"
    ((argv, options),) = asked
    assert [str(part) for part in argv] == [
        *("/tools/kubectl", "--kubeconfig", str(paths.stack_dir(made.name) / "kubeconfig.yaml")),
        *("--namespace", made.namespace, "apply", "--filename", "-"),
    ]
    assert options["stdin"] == b"{}"


def test_an_archive_or_a_folder_is_loaded(made: InnerCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loaded: list[tuple[str, bytes]] = []
    monkeypatch.setattr(
        module, "run_kinky", lambda *command, **_options: loaded.append((command[0], Path(command[1]).read_bytes()))
    )
    archive = write_oci(tmp_path / "a.tar")
    made.load(archive)
    folder = tmp_path / "layout"
    folder.mkdir()
    (folder / "oci-layout").write_text("{}")
    made.load(folder)
    assert loaded[0] == ("load", archive.read_bytes())
    assert b"oci-layout" in loaded[1][1]


def test_the_client_is_that_of_the_official_library(made: InnerCluster) -> None:
    made.kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
        "clusters: [{name: a, cluster: {server: 'https://inner.test:1'}}]\n"
        "contexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a, user: {}}]\n"
    )
    assert made.client().configuration.host == "https://inner.test:1"
