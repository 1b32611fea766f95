"""A node is emptied before it goes, as far as budgets allow, and takes pods again when it is back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kinky.errors import WaitError
from kinky.kube.connection import Reply
from kinky.operations.drain import drain, uncordon
from kinky.progress import phase
from tests.unit.fake_cluster import NODES, VMIS, FakeCluster, start_cluster

NODE = "dev-worker-0"
PODS = "/api/v1/namespaces/web/pods"
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


class Pods:
    """Pods of one node: an evicted one is gone at the next look, unless its budget allows no disruption."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.evicted: list[str] = []
        self.budget: dict[str, int] = {}
        """How many evictions of a pod are still refused."""

    def add(self, name: str, *, maker: str = "ReplicaSet", phase_now: str = "Running", **annotations: str) -> None:
        owners = [{"kind": maker, "name": "web", "controller": True}] if maker else []
        self.cluster.inner.add(
            PODS,
            name,
            metadata={"ownerReferences": owners, "annotations": annotations},
            spec={"nodeName": NODE},
            status={"phase": phase_now},
        )
        self.cluster.inner.answers[("POST", f"{PODS}/{name}/eviction")] = lambda sent: self.evict(name, sent)

    def evict(self, name: str, sent: Any) -> Reply:
        assert (sent["apiVersion"], sent["kind"]) == ("policy/v1", "Eviction")
        assert sent["deleteOptions"]["preconditions"]["uid"] == f"uid-{name}"
        assert self.node["spec"]["unschedulable"], "a pod that is evicted must not come back here"
        if self.budget.get(name, 0):
            self.budget[name] -= 1
            return Reply(429, json.dumps({"message": REFUSED}).encode())
        self.evicted.append(name)
        del self.cluster.inner.objects[f"{PODS}/{name}"]
        return Reply(201, b"{}")

    @property
    def node(self) -> Any:
        return self.cluster.inner.objects[f"{NODES}/{NODE}"]


@pytest.fixture
def pods(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pods:
    return Pods(start_cluster(monkeypatch, tmp_path))


def run(pods: Pods) -> str:
    with phase("drain") as running:
        return drain(pods.cluster.site, NODE, running)


def test_pods_with_a_controller_are_evicted_from_a_cordoned_node(pods: Pods) -> None:
    pods.add("a")
    pods.add("b", maker="StatefulSet")
    assert run(pods) == f"{NODE} is drained"
    assert pods.evicted == ["a", "b"]
    assert pods.node["spec"]["unschedulable"] is True
    uncordon(pods.cluster.site, NODE)
    assert not pods.node["spec"]["unschedulable"]


def test_pods_that_belong_to_the_node_and_finished_ones_are_left_alone(pods: Pods) -> None:
    pods.add("daemon", maker="DaemonSet")
    pods.add("mirror", maker="Node", **{"kubernetes.io/config.mirror": "x"})
    pods.add("done", maker="Job", phase_now="Succeeded")
    assert run(pods) == f"{NODE} is drained"
    assert pods.evicted == []


def test_a_pod_that_nothing_would_recreate_stays_and_is_named(pods: Pods) -> None:
    """It comes back with the node; an eviction would be its end."""
    pods.add("bare", maker="")
    assert run(pods) == f"{NODE} is drained; no controller would recreate web/bare"
    assert pods.evicted == []


def test_a_budget_is_respected_until_it_allows_the_eviction(pods: Pods) -> None:
    pods.add("a")
    pods.budget["a"] = 3
    run(pods)
    assert pods.evicted == ["a"]
    assert pods.budget["a"] == 0


def test_a_node_that_is_not_ready_keeps_its_pods(pods: Pods) -> None:
    pods.add("a")
    pods.node["status"]["conditions"][0]["status"] = "False"
    assert run(pods) == f"{NODE} is not Ready: its pods are not evicted"
    assert not pods.node["spec"].get("unschedulable")


def test_a_pod_that_ends_is_waited_for_and_not_evicted_again(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    pods.add("a")
    pods.cluster.inner.objects[f"{PODS}/a"]["metadata"]["deletionTimestamp"] = "x"

    def end(_seconds: float) -> None:
        pods.cluster.inner.objects.pop(f"{PODS}/a", None)

    monkeypatch.setattr("time.sleep", end)
    assert run(pods) == f"{NODE} is drained"
    assert pods.evicted == []


def test_a_budget_that_never_allows_it_stops_the_operation_and_the_node_takes_pods_again(
    pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods.add("a")
    pods.budget["a"] = 1_000_000
    monkeypatch.setattr("kinky.operations.drain.DRAIN_LIMIT_SECONDS", 0.05)
    with pytest.raises(WaitError, match="dev-worker-0 is drained: not met") as caught:
        pods.cluster.rotate("worker-certificates")
    assert f"1 pods left on {NODE}: web/a (refused: {REFUSED})" in str(caught.value)
    assert "PodDisruptionBudget" in str(caught.value)
    assert f"{VMIS}/{NODE}" in pods.cluster.host.objects
    assert pods.cluster.boots == []
    assert not pods.node["spec"]["unschedulable"]
    pods.budget.clear()
    monkeypatch.setattr("kinky.operations.drain.DRAIN_LIMIT_SECONDS", 60.0)
    assert pods.cluster.rotate("worker-certificates"), "and it continues"
    assert pods.cluster.boots == [NODE]


def test_a_node_that_an_admin_has_cordoned_stays_cordoned(pods: Pods) -> None:
    from kinky.rotation.items import ITEMS, rotate

    pods.node["spec"]["unschedulable"] = True
    assert rotate(pods.cluster.site, ITEMS["worker-certificates"])
    assert pods.cluster.boots == [NODE]
    assert pods.node["spec"]["unschedulable"] is True


def test_killed_before_any_call_a_node_loses_its_pods_once_and_takes_pods_in_the_end(pods: Pods) -> None:
    number = 0
    while True:
        number += 1
        pods.evicted.clear()
        pods.add("a")
        killed = pods.cluster.kill_at(number, lambda: pods.cluster.rotate("worker-certificates"))
        assert pods.cluster.rotate("worker-certificates")
        assert pods.evicted == ["a"]
        if not killed:
            break
    assert number > 40


def test_a_pod_that_tolerates_the_cordon_is_evicted_once(pods: Pods) -> None:
    pods.add("a")
    evict = pods.evict

    def come_back(sent: Any) -> Reply:
        answer = evict("a", sent)
        pods.add("again")
        return answer

    pods.cluster.inner.answers[("POST", f"{PODS}/a/eviction")] = come_back
    assert run(pods) == f"{NODE} is drained"
    assert pods.evicted == ["a"]
