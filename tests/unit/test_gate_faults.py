"""What was deleted or written past the gate is told, and is believed or made again on evidence only."""

from collections.abc import Callable

import pytest

from kinky.cli.gate import describe
from kinky.errors import WaitError
from kinky.gate import gate, wall
from kinky.kube.connection import JsonObject
from kinky.kube.inner import InnerApi
from kinky.reach.reach import Reach
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_store import Operator
from tests.unit.fake_wall import (
    ACCESS,
    BINDING,
    GRANT,
    POLICY,
    RIGHT,
    SERVER,
    STATE,
    Wall,
    open_gate,
    raise_wall,
    start_walled,
)


@pytest.fixture
def operator(host: FakeConnection, inner: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return start_walled(host, Wall(inner), monkeypatch)


def test_s16_a_lost_right_closes_and_is_given_again_on_evidence_only(operator: Operator, inner: FakeConnection) -> None:
    raise_wall()
    open_gate()
    del inner.objects[GRANT]
    api = InnerApi(inner)  # type: ignore[arg-type]
    lost = gate.fetch_state(api)
    assert (lost.state, lost.reason) == ("closed", "the record says open")
    assert list(map(str, wall.check_wall(api))) == [
        "CRITICAL: RoleBinding kinky-gate is not there, which opens the gate; kinky gate open makes it again"
    ]
    operator.limit = operator.copies
    with pytest.raises(WaitError, match="G2: "):
        open_gate(by_hand=True)
    assert gate.fetch_state(api).state == "closed"
    operator.limit += 2
    assert open_gate(by_hand=True).is_latched


def test_s16_a_lost_record_is_told_and_written_again_on_evidence_only(
    operator: Operator, inner: FakeConnection
) -> None:
    raise_wall()
    open_gate()
    del inner.objects[STATE]
    api = InnerApi(inner)  # type: ignore[arg-type]
    assert gate.fetch_state(api).reason == "ConfigMap kinky-system/kinky-gate is not there"
    assert not gate.fetch_state(api).is_latched
    assert list(map(str, wall.check_wall(api))) == [
        "CRITICAL: ConfigMap kinky-gate is not there; kinky gate open makes it again"
    ]
    operator.limit = operator.copies
    with pytest.raises(WaitError, match="G2: "):
        open_gate(by_hand=True)
    assert not gate.fetch_state(api).is_latched
    operator.limit += 2
    assert open_gate(by_hand=True).is_latched


def test_a_policy_that_was_deleted_is_made_again(operator: Operator, inner: FakeConnection) -> None:
    raise_wall()
    open_gate()
    del inner.objects[POLICY]
    (found,) = wall.check_wall(InnerApi(inner))  # type: ignore[arg-type]
    assert found.sentence == "ValidatingAdmissionPolicy kinky-gate is not there"
    open_gate(by_hand=True)
    assert POLICY in inner.objects


EDITS: dict[str, tuple[str, Callable[[JsonObject], object], str]] = {
    "only audited": (
        BINDING,
        lambda body: body["spec"].update(validationActions=["Audit"]),
        'ValidatingAdmissionPolicyBinding kinky-gate, spec.validationActions[0] is "Audit", declared is "Deny"',
    ),
    "audited too": (
        BINDING,
        lambda body: body["spec"]["validationActions"].append("Audit"),
        "ValidatingAdmissionPolicyBinding kinky-gate, spec.validationActions is "
        '["Deny", "Audit"], declared is ["Deny"]',
    ),
    "for some namespaces only": (
        BINDING,
        lambda body: body["spec"].update(matchResources={"namespaceSelector": {"matchLabels": {"a": "b"}}}),
        "ValidatingAdmissionPolicyBinding kinky-gate, spec.matchResources is "
        '{"namespaceSelector": {"matchLabels": {"a": "b"}}}, declared is nothing',
    ),
    "errors are passed": (
        POLICY,
        lambda body: body["spec"].update(failurePolicy="Ignore"),
        'ValidatingAdmissionPolicy kinky-gate, spec.failurePolicy is "Ignore", declared is "Fail"',
    ),
    "one more namespace is exempt": (
        POLICY,
        lambda body: body["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"][0]["values"].append("x"),
        "ValidatingAdmissionPolicy kinky-gate, spec.matchConstraints.namespaceSelector.matchExpressions[0].values is "
        '["kube-system", "kinky-system", "x"], declared is ["kube-system", "kinky-system"]',
    ),
    "a condition": (
        POLICY,
        lambda body: body["spec"].update(matchConditions=[{"name": "never", "expression": "false"}]),
        "ValidatingAdmissionPolicy kinky-gate, spec.matchConditions is "
        '[{"name": "never", "expression": "false"}], declared is nothing',
    ),
    "the right to something else": (
        RIGHT,
        lambda body: body["rules"][0].update(verbs=["get"]),
        'Role kinky-gate, rules[0].verbs[0] is "get", declared is "open"',
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_wall_that_somebody_changed_is_told_and_written_again(
    edit: str, operator: Operator, inner: FakeConnection
) -> None:
    path, change, told = EDITS[edit]
    raise_wall()
    # What the API puts beside what is declared is no change.
    inner.objects[POLICY]["spec"]["matchConstraints"]["objectSelector"] = {}
    inner.objects[POLICY]["status"] = {"observedGeneration": 1}
    api = InnerApi(inner)  # type: ignore[arg-type]
    assert wall.check_wall(api) == []
    change(inner.objects[path])
    (found,) = wall.check_wall(api)
    assert found.sentence == told
    assert f"CRITICAL: {told}; kinky gate open makes it again" in describe(gate.fetch_state(api), findings=[found])
    raise_wall()
    assert wall.check_wall(api) == []


def test_what_an_apply_cannot_take_away_is_replaced_as_it_was_seen(operator: Operator, inner: FakeConnection) -> None:
    """The API refuses to replace a policy without the version that is replaced."""
    raise_wall()
    inner.objects[POLICY]["metadata"]["resourceVersion"] = "7"
    inner.objects[POLICY]["spec"]["matchConditions"] = [{"name": "never", "expression": "false"}]
    inner.calls.clear()
    raise_wall()
    assert [path for method, path in inner.calls if method == "PUT"] == [POLICY]
    assert inner.objects[POLICY]["metadata"]["resourceVersion"] == "7"


def test_a_state_that_somebody_wrote_is_not_believed(operator: Operator, inner: FakeConnection) -> None:
    raise_wall()
    inner.objects[STATE]["data"] = {"state": "open"}
    api = InnerApi(inner)  # type: ignore[arg-type]
    assert gate.fetch_state(api).state == "closed"
    inner.objects[GRANT] = {"metadata": {"name": "kinky-gate", "namespace": "kinky-system"}}
    assert not gate.fetch_state(api).is_latched
    found = gate.check_state(gate.fetch_state(api))
    assert "CRITICAL: the gate was opened without evidence" in describe(gate.fetch_state(api), findings=found)
    operator.limit = 0
    with pytest.raises(WaitError, match="G2: "):
        open_gate()


def test_a_right_that_somebody_gave_a_closed_gate_has_no_evidence(operator: Operator, inner: FakeConnection) -> None:
    """The evidence of the opening before is no evidence of this one."""
    raise_wall()
    open_gate()
    gate.close_gate(Reach(ACCESS, SERVER))
    assert GRANT not in inner.objects
    inner.objects[GRANT] = {"metadata": {"name": "kinky-gate", "namespace": "kinky-system"}}
    state = gate.fetch_state(InnerApi(inner))  # type: ignore[arg-type]
    assert (state.state, state.reason, state.is_latched) == ("open", "the record says closed", False)
