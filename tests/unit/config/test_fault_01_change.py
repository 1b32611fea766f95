"""Which changes an existing cluster cannot follow; no key of the model is forgotten (tests/golden/changes.txt)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kinky.config.change import find_marks, find_refused, list_fixed, list_settings
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.config.section import FREELY, Changes

BASE: dict[str, Any] = {
    "cluster": {"name": "dev"},
    "host": {"embedded": True},
    "workers": [{"pool": "worker", "replicas": 1}],
}


def load(changed: dict[str, Any]) -> KinkyConfig:
    return load_config(BASE | changed, source="test")


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every field of the model that holds a value and no section."""
    for name, field in model.model_fields.items():
        inner = find_section(field.annotation)
        if inner is not None and not find_marks(field):
            yield from leaves(inner, f"{prefix}{field.alias or name}.")
        else:
            yield f"{prefix}{field.alias or name}", field
            if inner is not None:
                yield from leaves(inner, f"{prefix}{field.alias or name}.")


def find_section(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := find_section(part))), None)


LEAVES = dict(leaves(KinkyConfig))


@pytest.mark.parametrize("key", LEAVES)
def test_fault_01_each_key_says_how_an_existing_cluster_takes_it(key: str) -> None:
    assert len(find_marks(LEAVES[key])) == 1, "FREELY, AT_RESTART or never(...) in its annotation"


def test_fault_01_no_key_of_the_model_is_missed() -> None:
    assert len(LEAVES) > 50
    assert {"controlPlane.replicas", "workers.taints", "secretsStore.vault.mount", "timeouts.scale"} <= LEAVES.keys()


def test_fault_01_a_place_on_a_server_is_fixed_and_its_address_is_not() -> None:
    def vault(**more: str) -> KinkyConfig:
        server = {"address": "https://vault.example:8200", **more}
        return load({"secretsStore": {"kind": "vault", "vault": server}})

    made = list_fixed(vault())
    assert find_refused(made, vault(address="https://other.example:8200")) == []
    assert [problem.key[-1] for problem in find_refused(made, vault(mount="kv", prefix="a"))] == ["mount", "prefix"]


def test_fault_01_pools_come_and_go_and_their_order_is_free() -> None:
    made = list_fixed(load({"workers": [{"pool": "a", "labels": {"x": "y"}}, {"pool": "b"}]}))
    assert find_refused(made, load({"workers": [{"pool": "b"}, {"pool": "a", "labels": {"x": "y"}}]})) == []
    assert find_refused(made, load({"workers": [{"pool": "b", "replicas": 5}, {"pool": "c"}]})) == []


def test_fault_01_a_change_that_up_can_make_is_not_refused() -> None:
    changed = load(
        {
            "controlPlane": {"memoryMib": 4096},
            "workload": {"greeting": "good morning"},
            "access": {"mode": "nodePort"},
            "timeouts": {"scale": 2.0},
        }
    )
    assert find_refused(list_fixed(load({})), changed) == []
    assert Changes("by `up`") == FREELY
    assert {str(each.key[0]) for each in list_settings(changed)} >= {"cluster", "workers", "timeouts"}


def test_fault_01_every_refused_key_is_listed_at_once() -> None:
    changed = load(
        {
            "cluster": {"name": "dev", "domain": "other.local"},
            "controlPlane": {"replicas": 3, "etcdGib": 4},
            "network": {"podCidrs": ["10.244.0.0/16"], "serviceCidrs": ["10.94.0.0/16"]},
        }
    )
    found = [str(problem) for problem in find_refused(list_fixed(load({})), changed)]
    assert [line.partition(" = ")[0] for line in found] == [
        "cluster.domain",
        "controlPlane.replicas",
        "controlPlane.etcdGib",
        "network.podCidrs",
        "network.serviceCidrs",
    ]
    assert 'network.podCidrs = ["10.244.0.0/16"]: the cluster was made with ["10.243.0.0/16"]' in found[3]
