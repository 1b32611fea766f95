"""What somebody changed inside, past Pulumi, makes `up` run the step again; what nobody changed does not."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from kinky import names
from kinky.gate import drift, gate
from kinky.gate.proof import EvidenceItem, StoreRecord
from kinky.keys import material
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.reach.reach import Reach
from kinky.stores import secrets_store
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_wall import add_wall

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/kinky-system/roles"
GRANTS = "/apis/rbac.authorization.k8s.io/v1/namespaces/kinky-system/rolebindings"
RECORDS = "/api/v1/namespaces/kinky-system/configmaps"
TOKENS = "/api/v1/namespaces/kinky-system/secrets"
ANCHORS = "/api/v1/namespaces/ns/secrets"
NODES = "/api/v1/nodes"
EVIDENCE = StoreRecord(
    store="kinky",
    first_seconds=1.0,
    second_seconds=1.0,
    proved_at="2026-01-01T00:00:00Z",
    items=(EvidenceItem(item="G1", what="the secrets store is Ready", seen_at="2026-01-01T00:00:00Z"),),
)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeConnection:
    connection = FakeConnection()
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: connection)
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "state"))
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    connection.add(ANCHORS, "anchor-1")
    return connection


@pytest.fixture
def inner(host: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    """An inner cluster as `up` leaves it."""
    connection = FakeConnection(target='inner cluster "dev"')
    monkeypatch.setattr("kinky.kube.inner.open_inner", lambda _access: connection)
    add_wall(connection)
    connection.add(GRANTS, names.GATE)
    data = {"state": gate.OPEN, "reason": "the secrets store is proved", "evidence": json.dumps(asdict(EVIDENCE))}
    connection.add(RECORDS, names.GATE, data=data)
    annotations = {
        secrets_store.ANCHOR_ANNOTATION: "anchor-1",
        secrets_store.EXPIRES_ANNOTATION: "2099-01-01T00:00:00Z",
    }
    connection.add(TOKENS, secrets_store.TOKEN_SECRET, metadata={"annotations": annotations})
    connection.add(NODES, "dev-worker-0", spec={"taints": [{"key": "only", "effect": "NoSchedule"}]})
    return connection


@pytest.mark.parametrize("look", [drift.has_broken_wall, drift.holds_workloads_back, drift.has_ended_token])
def test_what_nobody_changed_gives_no_reason(inner: FakeConnection, look: Callable[..., bool]) -> None:
    assert not look(Reach(ACCESS, "https://x"))
    assert {method for method, _ in inner.calls} == {"GET"}


@pytest.mark.parametrize("look", [drift.has_broken_wall, drift.holds_workloads_back, drift.has_ended_token])
def test_an_api_that_is_away_gives_no_reason(inner: FakeConnection, look: Callable[..., bool]) -> None:
    inner.objects.clear()
    inner.down = True
    assert not look(Reach(ACCESS, "https://x"))


@pytest.mark.parametrize("path", [POLICIES, BINDINGS, ROLES, RECORDS])
def test_a_wall_with_a_hole_is_written_again(inner: FakeConnection, path: str) -> None:
    del inner.objects[f"{path}/{names.GATE}"]
    assert drift.has_broken_wall(Reach(ACCESS, "https://x"))


def test_a_wall_that_was_changed_is_written_again(inner: FakeConnection) -> None:
    inner.objects[f"{BINDINGS}/{names.GATE}"]["spec"]["validationActions"] = ["Audit"]
    assert drift.has_broken_wall(Reach(ACCESS, "https://x"))


@pytest.mark.parametrize("path", [GRANTS, RECORDS])
def test_s16_a_gate_that_lost_its_right_or_its_record_is_opened_on_evidence(inner: FakeConnection, path: str) -> None:
    del inner.objects[f"{path}/{names.GATE}"]
    assert drift.holds_workloads_back(Reach(ACCESS, "https://x"))


def test_what_a_person_closed_stays_closed(inner: FakeConnection) -> None:
    del inner.objects[f"{GRANTS}/{names.GATE}"]
    inner.add(RECORDS, names.GATE, data={"state": gate.CLOSED, "reason": gate.CLOSED_BY_HAND})
    assert not drift.holds_workloads_back(Reach(ACCESS, "https://x"))


def test_s15_a_node_that_registered_anew_is_let_in(inner: FakeConnection) -> None:
    inner.add(NODES, "dev-worker-1", spec={"taints": [{"key": names.GATE_TAINT, "effect": "NoSchedule"}]})
    assert drift.holds_workloads_back(Reach(ACCESS, "https://x"))


def test_s17_a_token_that_was_ended_is_replaced(host: FakeConnection, inner: FakeConnection) -> None:
    del host.objects[f"{ANCHORS}/anchor-1"]
    assert drift.has_ended_token(Reach(ACCESS, "https://x"))


def test_a_token_that_is_gone_is_made_again(inner: FakeConnection) -> None:
    del inner.objects[f"{TOKENS}/{secrets_store.TOKEN_SECRET}"]
    assert drift.has_ended_token(Reach(ACCESS, "https://x"))


def test_a_token_of_an_earlier_kinky_is_bound_to_nothing(inner: FakeConnection) -> None:
    token = inner.objects[f"{TOKENS}/{secrets_store.TOKEN_SECRET}"]
    del token["metadata"]["annotations"][secrets_store.ANCHOR_ANNOTATION]
    assert not drift.has_ended_token(Reach(ACCESS, "https://x"))
