"""The gate's policy in a real API server: what it refuses, what it lets through, and drift of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kinky import names
from kinky.errors import HostError
from kinky.gate import drift, gate, wall
from kinky.kube import resources
from kinky.kube.connection import ApiError, JsonObject
from kinky.manifests.gate import CLOSED, MESSAGE, OPEN, build_grant
from tests.api.conftest import Cluster

pytestmark = pytest.mark.xdist_group("api")

SECONDS = 30.0


@pytest.fixture
def closed(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster with a closed gate; what stays after the test is a gate that is closed."""
    gate.raise_wall(cluster.reach, limit_seconds=SECONDS)
    yield cluster
    cluster.inner.delete(resources.ROLE_BINDINGS, names.GATE, namespace=names.NAMESPACE_KINKY)
    cluster.inner.delete(resources.CONFIG_MAPS, names.GATE, namespace=names.NAMESPACE_KINKY)


def build_pod(name: str, **spec: Any) -> JsonObject:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "a", "image": "example.test/a"}], **spec}}


def create_pod(cluster: Cluster, namespace: str, **spec: Any) -> None:
    """Create a pod as a user does; without a controller-manager its ServiceAccount has to be made first."""
    cluster.inner.create(resources.SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, namespace=namespace)
    cluster.inner.create(resources.PODS, build_pod("a", **spec), namespace=namespace)


def grant(cluster: Cluster) -> None:
    cluster.inner.apply(resources.ROLE_BINDINGS, build_grant(), namespace=names.NAMESPACE_KINKY)
    gate.wait_obeyed(cluster.reach, OPEN, limit_seconds=SECONDS)


@pytest.mark.parametrize(
    "spec",
    [{}, {"nodeName": "any"}, {"tolerations": [{"operator": "Exists"}]}],
    ids=["plain", "with a node", "with tolerations"],
)
def test_a_closed_gate_refuses_each_pod(closed: Cluster, spec: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match=MESSAGE) as caught:
        create_pod(closed, closed.access.namespace, **spec)
    assert caught.value.status == 403
    assert gate.fetch_state(closed.inner).state == CLOSED


def test_a_label_of_a_user_opens_no_namespace(closed: Cluster) -> None:
    where = closed.access.namespace
    label = {"metadata": {"labels": {"kubernetes.io/metadata.name": names.NAMESPACE_KINKY}}}
    # The API server sets this label itself, and refuses or overwrites another value.
    try:
        closed.inner.patch(resources.NAMESPACES, where, label)
    except ApiError as error:
        assert error.status == 422
    with pytest.raises(ApiError, match=MESSAGE):
        create_pod(closed, where)


def test_our_own_namespace_is_free(closed: Cluster) -> None:
    create_pod(closed, names.NAMESPACE_KINKY)
    closed.inner.delete(resources.PODS, "a", namespace=names.NAMESPACE_KINKY)


def test_the_right_opens_and_its_loss_closes(closed: Cluster) -> None:
    grant(closed)
    create_pod(closed, closed.access.namespace)
    closed.inner.delete(resources.ROLE_BINDINGS, names.GATE, namespace=names.NAMESPACE_KINKY)
    gate.wait_obeyed(closed.reach, CLOSED, limit_seconds=SECONDS)


def test_what_the_api_fills_in_is_no_fault_of_the_wall(closed: Cluster) -> None:
    assert wall.check_wall(closed.inner) == []
    assert not drift.has_broken_wall(closed.reach)


def test_a_part_that_was_deleted_or_changed_is_drift_and_is_mended(closed: Cluster) -> None:
    closed.inner.delete(resources.ADMISSION_POLICY_BINDINGS, names.GATE)
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    weaker = {"spec": {"matchConstraints": {"excludeResourceRules": [rule]}}}
    closed.inner.patch(resources.ADMISSION_POLICIES, names.GATE, weaker)
    found = {each.subject: each.seen for each in wall.check_wall(closed.inner)}
    assert any("excludeResourceRules" in subject for subject in found)
    assert found[f"ValidatingAdmissionPolicyBinding {names.GATE}"] == "is not there"
    assert drift.has_broken_wall(closed.reach)
    gate.raise_wall(closed.reach, limit_seconds=SECONDS)
    assert wall.check_wall(closed.inner) == []
    with pytest.raises(ApiError, match=MESSAGE):
        create_pod(closed, closed.access.namespace)


def test_a_gate_that_is_open_without_a_record_is_looked_at_again(closed: Cluster) -> None:
    assert drift.holds_workloads_back(closed.reach)
    grant(closed)
    assert gate.fetch_state(closed.inner).reason == "the record says closed"
    with pytest.raises(HostError, match="without evidence"):
        gate.fetch_state(closed.inner).get_evidence()


def test_a_gate_that_was_closed_by_hand_stays_closed(closed: Cluster) -> None:
    grant(closed)
    state = gate.close_gate(closed.reach)
    assert (state.state, state.reason) == (CLOSED, gate.CLOSED_BY_HAND)
    assert not drift.holds_workloads_back(closed.reach)
    with pytest.raises(ApiError, match=MESSAGE):
        create_pod(closed, closed.access.namespace)
