"""The claim's step as the engine calls it: made before all else, gone when nothing else is left."""

from __future__ import annotations

from typing import Any

import pytest

from kinky.components.steps import record as step
from kinky.components.steps.record import ClusterRecordStep
from tests.program.live_calls import COMMON, Calls


def claim(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    for module, name, answer in (
        (step.namespace, "ensure_namespace", True),
        (step.namespace, "ensure_ground", None),
        (step.namespace, "delete_namespace", None),
        (step.record, "ensure_record", None),
        (step.record, "delete_record", None),
        (step.orphans, "delete_orphans", []),
        (step.residue, "wait_residue_gone", None),
        (step.residue, "remove_local_state", None),
    ):
        monkeypatch.setattr(module, name, calls.take(name, returns=answer))
    return calls


CLAIM = {
    **COMMON,
    "stack": "organization/kinky/dev",
    "settings": '{"controlPlane.replicas": 1}',
    "create_namespace": True,
    "namespace_body": {"metadata": {"name": "kinky-dev"}},
    "residue_seconds": 300.0,
    "retained": [],
}


def names_of(calls: Calls) -> list[str]:
    return [name for name, _ in calls.made]


def test_the_claim_makes_the_namespace_before_its_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = claim(monkeypatch)
    assert (ClusterRecordStep().create(dict(CLAIM)).outs or {})["namespace_created"] is True
    # The label last: the record shows that the cluster is this stack's.
    assert names_of(calls) == ["ensure_namespace", "ensure_record", "ensure_ground"]


def test_a_namespace_of_somebody_else_keeps_its_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = claim(monkeypatch)
    ClusterRecordStep().create({**CLAIM, "create_namespace": False})
    assert names_of(calls) == ["ensure_record"]


def test_a_label_that_was_lost_is_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    claim(monkeypatch)
    monkeypatch.setattr(step.record, "fetch_record", lambda *_arguments: object())
    monkeypatch.setattr(step.namespace, "is_ground_wrong", lambda *_arguments: True)
    assert ClusterRecordStep().diff("id", {**CLAIM, "namespace_created": True, "owners": []}, dict(CLAIM)).changes
    assert not ClusterRecordStep().diff("id", {**CLAIM, "namespace_created": False, "owners": []}, dict(CLAIM)).changes


def test_the_claim_goes_only_when_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = claim(monkeypatch)
    ClusterRecordStep().delete("id", {**CLAIM, "namespace_created": True, "owners": []})
    assert names_of(calls) == [
        "remove_local_state",
        "delete_orphans",
        "wait_residue_gone",
        "delete_record",
        "delete_namespace",
    ]


@pytest.mark.parametrize(
    "kept",
    [{"namespace_created": False}, {"namespace_created": True, "retained": ["Secret/dev-pki"]}],
    ids=["it was there before", "it holds what is retained"],
)
def test_a_namespace_can_outlive_the_claim(monkeypatch: pytest.MonkeyPatch, kept: dict[str, Any]) -> None:
    calls = claim(monkeypatch)
    ClusterRecordStep().delete("id", {**CLAIM, "owners": [], **kept})
    assert "delete_namespace" not in names_of(calls)


def test_fault_06_another_checkout_or_machine_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    claim(monkeypatch)
    monkeypatch.setattr(step.record, "fetch_record", lambda *_arguments: object())
    olds = {**CLAIM, "namespace_created": True, "owners": []}
    assert not ClusterRecordStep().diff("id", olds, dict(CLAIM)).changes
