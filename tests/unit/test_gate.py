"""The gate: closed until the store is proved, a latch afterwards; S-numbers are those of the design's tests."""

import json
from typing import Any

import pytest

from kinky.cli.gate import describe
from kinky.errors import HostError, WaitError
from kinky.findings import Finding, Severity
from kinky.gate import gate
from kinky.kube import resources
from kinky.kube.connection import Reply
from kinky.kube.inner import InnerApi
from kinky.kube.resources import Resource
from kinky.reach.reach import Reach
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_store import CANARIES, Operator, set_store
from tests.unit.fake_wall import (
    ACCESS,
    BINDING,
    GRANT,
    OTHER_TAINT,
    POLICY,
    PROBE,
    RIGHT,
    SCHEMA,
    SERVER,
    STATE,
    TAINT,
    Wall,
    add_worker,
    open_gate,
    raise_wall,
    start_walled,
    taints,
)


@pytest.fixture
def wall(inner: FakeConnection) -> Wall:
    return Wall(inner)


@pytest.fixture
def operator(host: FakeConnection, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return start_walled(host, wall, monkeypatch)


def add_owner(
    inner: FakeConnection, kind: Resource, name: str, spec: Any, status: Any, *, namespace: str = "shop"
) -> str:
    path = kind.build_path(namespace)
    inner.add(path, name, spec=spec, status=status)
    return f"{path}/{name}"


def test_the_wall_is_closed_and_obeyed(operator: Operator, inner: FakeConnection) -> None:
    state = raise_wall()
    assert (state.state, state.evidence) == ("closed", None)
    assert GRANT not in inner.objects
    assert {POLICY, BINDING, STATE, RIGHT, "/api/v1/namespaces/kinky-system"} <= inner.objects.keys()
    assert inner.calls[-2:] == [("POST", PROBE), ("GET", SCHEMA)], (
        "the schema takes minutes, and workers wait meanwhile"
    )
    assert TAINT in taints(inner)


def test_a_wall_that_is_not_obeyed_is_no_wall(operator: Operator, wall: Wall) -> None:
    wall.stands = False
    with pytest.raises(WaitError, match="obeys the gate, which is closed") as caught:
        raise_wall()
    assert "a dry run was answered with 404" in str(caught.value)


def test_evidence_opens_and_frees_the_workers(operator: Operator, inner: FakeConnection) -> None:
    raise_wall()
    state = open_gate()
    assert state.is_latched
    assert taints(inner) == [OTHER_TAINT]
    recorded = inner.objects[STATE]["data"]
    assert recorded["state"] == "open"
    assert len(json.loads(recorded["evidence"])["items"]) == 7


def test_s5_without_evidence_the_gate_stays_closed(operator: Operator, inner: FakeConnection) -> None:
    raise_wall()
    operator.limit = 0
    with pytest.raises(WaitError, match="G2: "):
        open_gate()
    assert inner.objects[STATE]["data"]["state"] == "closed"
    assert GRANT not in inner.objects
    assert TAINT in taints(inner)


@pytest.mark.parametrize("item", ["G1", "G4"])
def test_a_failed_item_opens_nothing(operator: Operator, inner: FakeConnection, item: str) -> None:
    raise_wall()
    if item == "G1":
        set_store(inner, "True", "ValidationUnknown")
    operator.answers = {"unknown"}
    with pytest.raises((HostError, WaitError), match=f"{item}: "):
        open_gate()
    assert gate.fetch_state(InnerApi(inner)).state == "closed"  # type: ignore[arg-type]
    assert TAINT in taints(inner)


def test_up_never_closes_what_is_open(operator: Operator, inner: FakeConnection) -> None:
    raise_wall()
    opened = open_gate()
    assert raise_wall() == opened


def test_s13_open_stays_open_when_the_store_is_down(operator: Operator, inner: FakeConnection) -> None:
    """A latch: a worker that comes while the store is away is let in without new evidence."""
    raise_wall()
    opened = open_gate()
    set_store(inner, "False", "InvalidProviderConfig")
    operator.limit = 0
    add_worker(inner, "dev-worker-1", [TAINT])
    assert open_gate() == opened
    assert taints(inner, "dev-worker-1") == []


def test_s15_a_node_that_registers_anew_is_tainted_until_it_is_let_in(
    operator: Operator, inner: FakeConnection
) -> None:
    raise_wall()
    open_gate()
    del inner.objects["/api/v1/nodes/dev-worker-0"]
    add_worker(inner, "dev-worker-0", [TAINT])
    assert gate.fetch_tainted(InnerApi(inner)) == ["dev-worker-0"]  # type: ignore[arg-type]
    open_gate()
    assert taints(inner) == []


def test_taints_that_change_meanwhile_are_looked_at_again(operator: Operator, inner: FakeConnection) -> None:
    """The node controller adds taints of its own; what it has added must not get lost."""
    raise_wall()
    unreachable = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
    path, real, tries = "/api/v1/nodes/dev-worker-0", inner._answer_patch, []

    def late(asked: str, content_type: str, body: Any) -> Reply | None:
        if asked == path:
            tries.append(body)
            if len(tries) == 1:
                inner.objects[path]["spec"]["taints"] = [TAINT, unreachable]
        return real(asked, content_type, body)

    inner._answer_patch = late  # type: ignore[method-assign]
    open_gate()
    assert len(tries) == 2
    assert taints(inner) == [unreachable]


def test_s12_owners_that_were_denied_are_nudged(operator: Operator, inner: FakeConnection) -> None:
    lacking = [
        add_owner(inner, resources.REPLICA_SETS, "web-1", {"replicas": 2}, {"replicas": 0}),
        add_owner(inner, resources.STATEFUL_SETS, "db", {"replicas": 1}, {}),
        add_owner(inner, resources.DAEMON_SETS, "log", {}, {"desiredNumberScheduled": 1}),
        add_owner(inner, resources.JOBS, "once", {"completions": 1}, {}),
    ]
    done = {"conditions": [{"type": "Complete", "status": "True"}]}
    others = [
        add_owner(inner, resources.REPLICA_SETS, "web-0", {"replicas": 0}, {}),
        add_owner(inner, resources.JOBS, "over", {}, done),
        add_owner(inner, resources.JOBS, "later", {"suspend": True}, {}),
        add_owner(inner, resources.JOBS, "busy", {}, {"active": 1}),
        add_owner(inner, resources.REPLICA_SETS, "dns", {"replicas": 1}, {}, namespace="kube-system"),
    ]
    raise_wall()
    open_gate()
    nudged = {path for path, body in inner.objects.items() if gate.NUDGE_ANNOTATION in str(body)}
    assert nudged == set(lacking)
    assert not nudged & set(others)
    # Only when the API server obeys: a pod that is refused once more makes the back-off longer.
    obeyed = max(at for at, call in enumerate(inner.calls) if call == ("POST", PROBE))
    assert all(inner.calls.index(("PATCH", path)) > obeyed for path in lacking)


def test_what_a_person_closed_only_a_person_opens(operator: Operator, inner: FakeConnection) -> None:
    raise_wall()
    open_gate()
    closed = gate.close_gate(Reach(ACCESS, SERVER))
    assert (closed.state, closed.reason) == ("closed", "closed by hand")
    assert raise_wall() == closed
    with pytest.raises(HostError, match="the gate was closed by hand at") as caught:
        open_gate()
    assert "kinky gate open" in str(caught.value)
    assert open_gate(by_hand=True).is_latched


def test_the_state_as_a_person_reads_it(operator: Operator, inner: FakeConnection) -> None:
    raise_wall()
    state = open_gate()
    found = Finding(code="x", severity=Severity.CRITICAL, subject="Policy x", seen="is not there", hint="a step")
    text = describe(state, findings=[found], tainted=["dev-worker-1"])
    first, *rest = text.splitlines()
    assert first.startswith("open since ") and first.endswith(": the secrets store is proved")
    assert rest[0] == "CRITICAL: Policy x is not there; a step"
    assert rest[1] == "nodes that take no workload yet: dev-worker-1"
    assert [line.split()[0] for line in rest[3:]] == ["G1", "G2", "G3", "G4", "G5", "G6", "G7"]


def test_the_proof_leaves_nothing_inside(operator: Operator, inner: FakeConnection) -> None:
    raise_wall()
    open_gate()
    assert [path for path in inner.objects if path.startswith(CANARIES)] == [f"{CANARIES}/canary"]
