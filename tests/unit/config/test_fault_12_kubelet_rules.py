"""The configuration refuses what a kubelet or a scheduler would refuse, and nothing more."""

from __future__ import annotations

from typing import Any

import pytest

from kinky.config.check import warn_config
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.errors import ConfigError

LONG = "a" * 64


def load(*pools: dict[str, Any], **sections: Any) -> KinkyConfig:
    named = [{"pool": f"p{number}"} | pool for number, pool in enumerate(pools)]
    return load_config(
        {"cluster": {"name": "dev"}, "host": {"embedded": True}, "workers": named, **sections}, source="test"
    )


def refuse(*pools: dict[str, Any], **sections: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(*pools, **sections)
    return caught.value.details


OPEN: dict[str, Any] = {}


def test_fault_12_two_taints_of_one_key_and_effect() -> None:
    (told,) = refuse(OPEN, {"taints": ["d=a:NoSchedule", "d=b:NoSchedule"]})
    assert told.startswith(
        'workers[1].taints[1] = "d=b:NoSchedule": the pool has a taint with key d and effect NoSchedule'
    )
    assert len(refuse(OPEN, {"taints": ["d:NoExecute", "e:NoExecute", "d=:NoExecute", "d=x:NoExecute"]})) == 2
    load(OPEN, {"taints": ["d=a:NoSchedule", "d=b:NoExecute", "d=c:PreferNoSchedule", "e=a:NoSchedule"]})


@pytest.mark.parametrize(
    "taint",
    [
        "kinky.dev/secrets-not-ready:NoSchedule",
        "kinky.dev/secrets-not-ready=x:NoExecute",
        "node.kubernetes.io/unschedulable:NoSchedule",
        "node.kubernetes.io/not-ready:NoExecute",
        "node.cloudprovider.kubernetes.io/uninitialized=true:NoSchedule",
        "node-role.kubernetes.io/control-plane:NoSchedule",
    ],
)
def test_fault_12_taints_that_somebody_else_sets(taint: str) -> None:
    assert f'workers[1].taints[0] = "{taint}"' in refuse(OPEN, {"taints": [taint]})[0]


@pytest.mark.parametrize("effect", ["NoSchedule", "NoExecute"])
def test_fault_12_only_tainted_pools_leave_no_node_for_the_workload(effect: str) -> None:
    pools = ({"taints": [f"a:{effect}"]}, {"taints": [f"b:{effect}", "c:PreferNoSchedule"]}, {"replicas": 0})
    (told,) = refuse(*pools)
    assert told.startswith("workers: each pool with nodes has a taint")
    load(*pools, {"taints": ["c:PreferNoSchedule"]})
    tolerated = load(*pools, workload={"enabled": False})
    assert "all workers have taints: pods that do not tolerate them run nowhere" in warn_config(tolerated)
    assert not any("taints" in warning for warning in warn_config(load(OPEN)))


@pytest.mark.parametrize(
    "label",
    [
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "node-restriction.kubernetes.io/x",
        "a.node-restriction.kubernetes.io/x",
        "node-role.kubernetes.io/worker",
        "app.k8s.io/x",
        "kinky.dev/pool",
        f"example.com/{LONG}",
        f"{'a.' * 127}a/x",
        "a..b/x",
        "a-.b/x",
        "/x",
        "a/b/c",
    ],
)
def test_fault_12_labels_that_the_kubelet_sets_or_refuses(label: str) -> None:
    assert len(refuse({"labels": {label: "x"}})) == 1


def test_fault_12_values_that_the_kubelet_refuses() -> None:
    told = refuse({"labels": {"a": LONG, "b": "x_", "c": "-x", "d": "x y"}, "taints": [f"t={LONG}:NoSchedule"]})
    assert len(told) == 5


def test_fault_12_a_processor_model_that_cannot_be_a_node_s_label() -> None:
    assert "virtualMachine.cpuModel" in refuse(OPEN, virtualMachine={"cpuModel": "Sky lake"})[0]
    load(OPEN, virtualMachine={"cpuModel": "host-passthrough"})


def test_fault_12_all_problems_are_told_together() -> None:
    pools = (
        {"taints": ["d=a:NoSchedule", "d=b:NoSchedule"]},
        {"labels": {"kubernetes.io/os": "x"}, "taints": ["kinky.dev/x:NoExecute"]},
    )
    assert len(refuse(*pools, network={"podCidrs": ["10.1.0.0/25"]})) == 5


@pytest.mark.parametrize(
    "label",
    [
        "notkubernetes.io/x",
        "myk8s.io/x",
        "team.node.kubernetes.io/x",
        "a.kubelet.kubernetes.io/x",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/zone",
        f"{LONG}.example.com/x",
        f"example.com/{'A' * 63}",
    ],
)
def test_fault_09_labels_that_a_kubelet_takes(label: str) -> None:
    load({"labels": {label: ""}})


@pytest.mark.parametrize(
    "sections",
    [
        {"controlPlane": {"etcdStorageClass": f"{LONG}.ssd"}},
        {"access": {"mode": "nodePort", "nodePort": 20443}},
        {"access": {"mode": "loadBalancer", "loadBalancerAnnotations": {"LB.example.com/Scheme": "x"}}},
        {"host": {"embedded": True, "namespace": "1team"}},
        {"workers": [{"pool": "2nd"}]},
        {"workers": [{"pool": "a"}, {"pool": "b", "taints": ["d=:NoSchedule"]}]},
    ],
)
def test_fault_09_what_the_api_takes_is_taken(sections: dict[str, Any]) -> None:
    load_config({"cluster": {"name": "dev"}, "host": {"embedded": True}} | sections, source="test")
