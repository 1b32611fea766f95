"""The cluster that is there and names that are taken are compared before anything is touched."""

from __future__ import annotations

from typing import Any

import pytest

from kinky import names
from kinky.config.change import list_fixed
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.fit.record import check_record
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.manifests.host_names import list_host_names
from kinky.ownership import record
from tests.unit.fake_api import FakeConnection

STACK = "organization/kinky/lab"
ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="lab", cluster_id="ours")
PLACES = {
    "Service": "/api/v1/namespaces/ns/services",
    "Secret": "/api/v1/namespaces/ns/secrets",
    "ConfigMap": "/api/v1/namespaces/ns/configmaps",
    "PersistentVolumeClaim": "/api/v1/namespaces/ns/persistentvolumeclaims",
    "ServiceAccount": "/api/v1/namespaces/ns/serviceaccounts",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/ns/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/ns/rolebindings",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/ns/networkpolicies",
    "VirtualMachine": "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines",
}


def make_config(**sections: Any) -> KinkyConfig:
    base = {"cluster": {"name": "lab"}, "host": {"embedded": True, "namespace": "ns"}}
    return load_config(base | sections, source="test")


def problems(host: FakeConnection, cfg: KinkyConfig, *, stack: str = STACK) -> list[str]:
    api = HostApi.connect(ACCESS)
    present = record.fetch_record(api, cfg.cluster.name)
    found = [line for lines, _hint in check_record(cfg, api, stack, present) for line in lines]
    assert {method for method, _path in host.calls} <= {"GET"}, "nothing was touched"
    return found


def test_fault_01_three_control_planes_where_one_was_made(host: FakeConnection) -> None:
    record.ensure_record(HostApi.connect(ACCESS), STACK, list_fixed(make_config()))
    host.calls.clear()
    assert problems(host, make_config()) == []
    (told,) = problems(host, make_config(controlPlane={"replicas": 3}))
    assert told.startswith("controlPlane.replicas = 3: the cluster was made with 1; this needs a new cluster")


@pytest.mark.parametrize("kind", sorted(PLACES))
@pytest.mark.parametrize("label", ["lab-worker", ""], ids=["another cluster's", "a person's"])
def test_fault_03_a_name_that_is_taken_is_told_for_each_kind(host: FakeConnection, kind: str, label: str) -> None:
    cfg = make_config()
    name = min(name for found, name in list_host_names(cfg) if found == kind)
    labels = names.cluster_labels(label) if label else {}
    host.add(PLACES[kind], name, metadata={"labels": labels})
    maker = f"belongs to cluster {label}" if label else "was not made by kinky"
    assert problems(host, cfg) == [f"{kind} ns/{name} {maker}"]
    host.objects[f"{PLACES[kind]}/{name}"]["metadata"]["labels"] = names.cluster_labels("lab")
    assert problems(host, cfg) == []


@pytest.mark.parametrize("other", ["lab-store", "lab-worker-0", "lab-control-plane"])
def test_fault_03_a_cluster_whose_names_could_be_ours_is_told(host: FakeConnection, other: str) -> None:
    host.add(
        PLACES["ConfigMap"], names.cluster_record(other), metadata={"labels": names.cluster_labels(other)}, data={}
    )
    (told,) = problems(host, make_config())
    assert told == f"namespace ns holds cluster {other}, whose names could be those of cluster lab"


def test_fault_06_another_stack_is_told_and_can_be_taken_over(
    host: FakeConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.ensure_record(HostApi.connect(ACCESS), "organization/kinky/other", {})
    host.calls.clear()
    (told,) = problems(host, make_config())
    assert told == "namespace ns already holds a cluster lab of another stack: organization/kinky/other"
    monkeypatch.setenv(record.TAKE_OVER, "lab")
    assert problems(host, make_config()) == []


def test_fault_00_files_of_another_stack_s_cluster_of_this_name_are_told(host: FakeConnection) -> None:
    record.keep_identity(ACCESS, "organization/kinky/other")
    (told,) = problems(host, make_config())
    assert told == "this machine keeps files of another cluster lab, of stack organization/kinky/other"
