"""A lease in the program: every object on the host has it as its owner, no object inside has, and none without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.program import recorder
from tests.program.recorder import Declare, kubernetes_objects, provider_name

OWNERS = [{"apiVersion": "batch/v1", "kind": "Job", "name": "dev-lease", "uid": "u"}]
LEASED = {"name": "dev", "lease": {"ttl": "2h", "holder": "ada"}}


@pytest.fixture(autouse=True)
def lease(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs: Mapping[str, Any] = {
        **recorder.STEP_OUTPUTS,
        "ClusterRecord": {"namespace_created": True, "owners": OWNERS},
    }
    monkeypatch.setattr(recorder, "STEP_OUTPUTS", outputs)


@pytest.mark.parametrize("store", ["hostNamespace", "inCluster"])
def test_objects_on_the_host_are_owned_and_those_inside_are_not(declare: Declare, store: str) -> None:
    found = declare(cluster={**LEASED, "ephemeral": store == "inCluster"}, secretsStore={"kind": store})
    owned = {item.name: item.inputs["metadata"].get("ownerReferences") for item in kubernetes_objects(found)}
    on_host = {item.name for item in kubernetes_objects(found) if provider_name(item) == "dev-host"}
    assert len(on_host) >= 8
    assert {name for name, owners in owned.items() if owners == OWNERS} == on_host
    assert {name for name, owners in owned.items() if owners is None} == owned.keys() - on_host
    assert found.one("ClusterRecord").inputs["lease"] == {"seconds": 7200, "holder": "ada"}


def test_without_a_lease_nothing_of_it_is_declared(declare: Declare) -> None:
    found = declare()
    assert not [item for item in kubernetes_objects(found) if "ownerReferences" in item.inputs["metadata"]]
    assert "lease" not in found.one("ClusterRecord").inputs


def test_a_first_preview_knows_no_owner_yet(declare: Declare) -> None:
    found = declare(preview=True, cluster=LEASED)
    assert len([item for item in kubernetes_objects(found) if provider_name(item) == "dev-host"]) >= 8
