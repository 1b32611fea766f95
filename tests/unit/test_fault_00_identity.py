"""Nothing on a host is written or deleted unless host, record and label say that it is the cluster's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from kinky import names, paths
from kinky.components.properties import Properties, describe
from kinky.components.steps import identity
from kinky.components.steps.record import ClusterRecordInputs, ClusterRecordOutputs, ClusterRecordStep
from kinky.errors import HostError
from kinky.keys import material, node_credentials
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import JsonObject
from kinky.kube.host import HostApi
from kinky.kube.objects import build_secret
from kinky.kube.ownership import ForeignObjectError
from kinky.operations.journal import Journal
from kinky.operations.operation import Operation
from kinky.ownership import orphans, record, residue
from kinky.reach.credential import fetch_exec_credential
from kinky.reach.reach import Reach
from tests.unit.cluster_records import record_data
from tests.unit.fake_api import FakeConnection

NS = "/api/v1/namespaces/ns"
OURS = HostAccess(
    kubeconfig="/k", context=None, namespace="ns", cluster="dev", host_uid="our-host", cluster_id="our-cluster"
)
STACK = "organization/kinky/dev"
WRITES = {"POST", "PUT", "PATCH", "DELETE"}

Act = Callable[[HostAccess], object]
ACTS: dict[str, Act] = {
    "make keys": lambda access: material.ensure_cluster_keys(HostApi.connect(access), "dev"),
    "delete keys": lambda access: material.delete_key_secret(HostApi.connect(access), "dev-pki"),
    "sign": lambda access: fetch_exec_credential(Reach(access).host, "dev"),
    "node credentials": lambda access: node_credentials.ensure_node_credentials(
        HostApi.connect(access), "dev", "dev-worker-0", "10.0.0.1"
    ),
    "orphans": lambda access: orphans.delete_orphans(HostApi.connect(access)),
    "record": lambda access: record.delete_record(HostApi.connect(access)),
    "operation": lambda access: Journal(HostApi.connect(access), "dev", Operation("rotate", "ca")).start(),
    "restart": lambda access: HostApi.connect(access).delete(
        resources.VIRTUAL_MACHINE_INSTANCES, "dev-worker-0", namespace="ns"
    ),
    "every command": lambda access: record.recognise(access, "dev"),
}


def add_host(host: FakeConnection, *, uid: str, cluster_id: str) -> None:
    """Make a host with a whole cluster of this name on it."""
    labels = {"labels": names.cluster_labels("dev")}
    host.add("/api/v1/namespaces", "kube-system", metadata={"uid": uid})
    host.add("/api/v1/namespaces", "ns", metadata=labels)
    host.add(f"{NS}/configmaps", "dev-record", metadata=labels, data=record_data(stack=STACK, cluster_id=cluster_id))
    host.add("/apis/kubevirt.io/v1/namespaces/ns/virtualmachines", "dev-worker-0", metadata=labels)
    host.add("/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstances", "dev-worker-0", metadata=labels)


def writes(host: FakeConnection) -> list[tuple[str, str]]:
    return [call for call in host.calls if call[0] in WRITES]


@pytest.fixture
def kept(host: FakeConnection) -> FakeConnection:
    """A host beside a machine that knows which cluster its files belong to."""
    record.keep_identity(OURS, STACK)
    return host


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
@pytest.mark.parametrize(
    ("uid", "cluster_id", "told"),
    [
        ("other-host", "our-cluster", "is not the host of inner cluster dev; nothing was touched"),
        ("our-host", "other-cluster", "holds another inner cluster dev; nothing was touched"),
        ("other-host", "other-cluster", "is not the host of inner cluster dev; nothing was touched"),
    ],
    ids=["another host", "another cluster", "both"],
)
def test_fault_00_nothing_is_touched_where_the_cluster_is_not_ours(
    kept: FakeConnection, act: Act, uid: str, cluster_id: str, told: str
) -> None:
    add_host(kept, uid=uid, cluster_id=cluster_id)
    before = dict(kept.objects)
    with pytest.raises(HostError, match=told) as caught:
        act(OURS)
    assert "kinky forget" in str(caught.value) or "troubleshooting" in str(caught.value)
    assert kept.objects == before
    assert writes(kept) == []


def asked(**changed: str) -> Properties:
    """Return what the step of the identity is asked for, which names no identity."""
    return {"access": describe(replace(OURS, host_uid="", cluster_id="", **changed))}


MADE: Properties = {**asked(), "host_uid": OURS.host_uid, "cluster_id": OURS.cluster_id}


def test_fault_00_the_guard_stops_a_destroy_that_pulumi_runs_by_itself(host: FakeConnection) -> None:
    add_host(host, uid="other-host", cluster_id="other-cluster")
    with pytest.raises(HostError, match="is not the host"):
        identity.HostGuardStep().delete("id", {"access": describe(OURS)})
    host.objects["/api/v1/namespaces/kube-system"]["metadata"]["uid"] = "our-host"
    host.objects[f"{NS}/configmaps/dev-record"]["data"]["clusterId"] = "our-cluster"
    identity.HostGuardStep().delete("id", {"access": describe(OURS)})


def test_fault_00_the_claim_deletes_no_namespace_of_another_host(host: FakeConnection) -> None:
    add_host(host, uid="other-host", cluster_id="other-cluster")
    inputs = ClusterRecordInputs(
        access=OURS,
        stack=STACK,
        settings="{}",
        create_namespace=True,
        namespace_body={},
        residue_seconds=1.0,
        retained=(),
    )
    with pytest.raises(HostError, match="is not the host"):
        ClusterRecordStep().delete(
            "id", describe(inputs) | describe(ClusterRecordOutputs(namespace_created=True, owners=()))
        )
    assert writes(host) == []


def test_fault_00_each_preview_compares_the_host_with_the_state(host: FakeConnection) -> None:
    add_host(host, uid="other-host", cluster_id="our-cluster")
    with pytest.raises(HostError, match="is not the host"):
        identity.ClusterIdentityStep().diff("id", MADE, asked())
    host.objects["/api/v1/namespaces/kube-system"]["metadata"]["uid"] = "our-host"
    assert not identity.ClusterIdentityStep().diff("id", MADE, asked()).changes


def test_fault_00_a_refresh_on_another_host_fails(host: FakeConnection) -> None:
    add_host(host, uid="other-host", cluster_id="our-cluster")
    with pytest.raises(HostError, match="is not the host"):
        identity.ClusterIdentityStep().read("id", MADE)
    host.objects["/api/v1/namespaces/kube-system"]["metadata"]["uid"] = "our-host"
    assert identity.ClusterIdentityStep().read("id", MADE).outs == MADE


@pytest.mark.parametrize(("key", "setting"), [("cluster", "cluster.name"), ("namespace", "host.namespace")])
def test_fault_00_another_name_does_not_replace_the_cluster(host: FakeConnection, key: str, setting: str) -> None:
    add_host(host, uid="our-host", cluster_id="our-cluster")
    with pytest.raises(HostError, match=f"{setting} = other: the stack's cluster was made with"):
        identity.ClusterIdentityStep().diff("id", MADE, asked(**{key: "other"}))


def test_fault_00_the_identity_is_known_before_anything_is_made_and_stays(host: FakeConnection) -> None:
    host.add("/api/v1/namespaces", "kube-system", metadata={"uid": "our-host"})
    step = identity.ClusterIdentityStep()
    made = step.create(asked()).outs or {}
    assert made["host_uid"] == "our-host"
    assert len(made["cluster_id"]) == 32
    assert writes(host) == []
    again = step.update("id", made, asked(kubeconfig="/elsewhere")).outs or {}
    assert (again["host_uid"], again["cluster_id"]) == (made["host_uid"], made["cluster_id"])


def test_fault_00_an_account_of_one_namespace_has_an_identity_of_the_host_too(host: FakeConnection) -> None:
    host.answer("GET", "/api/v1/namespaces/kube-system", {"reason": "Forbidden"}, status=403)
    host.add(f"{NS}/configmaps", "kube-root-ca.crt", metadata={"uid": "root"})
    uid = HostApi.connect(OURS).fetch_host_uid()
    assert uid == "namespace:root"
    HostApi.connect(replace(OURS, host_uid=uid)).require_host()
    host.objects[f"{NS}/configmaps/kube-root-ca.crt"]["metadata"]["uid"] = "another"
    with pytest.raises(HostError, match="is not the host"):
        HostApi.connect(replace(OURS, host_uid=uid)).require_host()


def test_fault_00_without_any_identity_of_the_host_the_record_must_tell(host: FakeConnection) -> None:
    host.answer("GET", "/api/v1/namespaces/kube-system", {"reason": "Forbidden"}, status=403)
    with pytest.raises(HostError, match="holds no record of inner cluster dev"):
        HostApi.connect(OURS).require_host()


def change(resource: str, body: JsonObject) -> dict[str, Callable[[HostApi], object]]:
    kind, name = resources.SECRETS, str(body["metadata"]["name"])
    return {
        "put": lambda api: api.put(kind, body, namespace="ns"),
        "patch": lambda api: api.patch(kind, name, body, namespace="ns"),
        "replace": lambda api: api.replace(kind, body, namespace="ns"),
        "apply": lambda api: api.apply(kind, body, namespace="ns"),
        "create": lambda api: api.create(kind, body, namespace="ns"),
        "delete": lambda api: api.delete(kind, name, namespace="ns"),
    }


CHANGES = change("secrets", build_secret("dev-store-db", {"value": b"x"}, labels=names.cluster_labels("dev")))


@pytest.mark.parametrize("act", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("label", ["dev-store", ""], ids=["another cluster's", "a person's"])
def test_fault_03_an_object_of_another_is_not_changed_by_its_name(
    host: FakeConnection, act: Callable[[HostApi], object], label: str
) -> None:
    labels = names.cluster_labels(label) if label else {}
    host.add(f"{NS}/secrets", "dev-store-db", metadata={"labels": labels}, data={"value": "eQ=="})
    with pytest.raises(ForeignObjectError, match="Secret ns/dev-store-db does not belong to inner cluster dev"):
        act(HostApi.connect(replace(OURS, host_uid="", cluster_id="")))
    assert host.objects[f"{NS}/secrets/dev-store-db"]["data"] == {"value": "eQ=="}
    assert [verb for verb, _path in writes(host) if verb != "POST"] == []


def test_fault_00_a_deletion_names_the_object_that_was_looked_at(host: FakeConnection) -> None:
    seen: list[JsonObject] = []
    host.add(f"{NS}/secrets", "dev-pki", metadata={"labels": names.cluster_labels("dev"), "uid": "u1"})

    original = host.call

    def call(method: str, path: str, **options: object) -> object:
        if method == "DELETE":
            seen.append(options["body"])  # type: ignore[arg-type]
        return original(method, path, **options)  # type: ignore[arg-type]

    host.call = call  # type: ignore[method-assign, assignment]
    material.delete_key_secret(HostApi.connect(replace(OURS, host_uid="", cluster_id="")), "dev-pki")
    assert seen == [{"propagationPolicy": "Background", "preconditions": {"uid": "u1"}}]


def test_fault_00_the_files_of_this_machine_are_those_of_one_cluster(host: FakeConnection) -> None:
    record.keep_identity(OURS, STACK)
    assert record.read_kept("dev") == {"stack": STACK, "host_uid": "our-host", "cluster_id": "our-cluster"}
    residue.remove_local_state("dev")
    assert record.read_kept("dev") == {}
    assert not (paths.stack_dir("dev") / record.KEPT_FILE).exists()


def test_fault_06_the_state_decides_and_not_the_checkout(host: FakeConnection) -> None:
    step = identity.ClusterIdentityStep()
    add_host(host, uid="our-host", cluster_id="our-cluster")
    assert not step.diff("id", MADE, asked()).changes
    with pytest.raises(HostError, match="already holds a cluster dev of another stack: organization/kinky/dev") as told:
        step.check({}, asked())
    assert "kinky up --take-over" in str(told.value)


def test_fault_06_a_lost_state_is_taken_over_and_the_old_one_has_no_say(
    host: FakeConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_host(host, uid="our-host", cluster_id="our-cluster")
    new = replace(OURS, cluster_id="new-cluster")
    with pytest.raises(HostError, match="of another stack"):
        record.ensure_record(HostApi.connect(new), STACK, {})
    monkeypatch.setenv(record.TAKE_OVER, "dev")
    assert identity.ClusterIdentityStep().check({}, asked()).failures == []
    record.ensure_record(HostApi.connect(new), STACK, {}, take_over=record.is_taken_over("dev"))
    HostApi.connect(new).require_host()
    with pytest.raises(HostError, match="holds another inner cluster dev"):
        HostApi.connect(OURS).require_host()


@pytest.mark.parametrize("other", ["lab-store", "lab-0", "la", "lab"])
def test_fault_03_two_clusters_whose_names_could_meet_do_not_share_a_namespace(
    host: FakeConnection, other: str
) -> None:
    lab = replace(OURS, cluster="lab", host_uid="", cluster_id="1")
    record.ensure_record(
        HostApi.connect(replace(lab, cluster=other, cluster_id="2")), f"organization/kinky/{other}", {}
    )
    meets = other != "la"
    if not meets:
        record.ensure_record(HostApi.connect(lab), "organization/kinky/lab", {})
        return
    with pytest.raises(HostError):
        record.ensure_record(HostApi.connect(lab), "organization/kinky/lab", {})
    assert (f"{NS}/configmaps/lab-record" in host.objects) is (other == "lab")
