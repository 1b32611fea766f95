"""In a preview before the first `up`, nothing asks the API for an object that is not there yet."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime import rpc

from kinky.components.bodies import declare_all
from kinky.manifests import store_reader
from kinky.manifests.body import build_cluster_role, build_cluster_role_binding, service_account_subject
from tests.program.conftest import build_args
from tests.program.recorder import Declare, Recorder, Registered, kubernetes_objects, provider_name, record
from tests.program.test_bodies import Parent

RAW: dict[str, Any] = {"cluster": {"name": "dev"}, "host": {"embedded": True}}
ROLE = build_cluster_role("r", app="a", rules=[])
CLUSTER_BINDING = build_cluster_role_binding("b", app="a", role="r", subject=service_account_subject("s", "n"))


def is_unknown(value: object) -> bool:
    """Tell whether the engine would get the value as not yet known, which makes the provider skip its dry run."""
    return value == rpc.UNKNOWN or type(value).__name__ == "Unknown"


def role_of(binding: Registered) -> object:
    return binding.inputs["roleRef"]["name"]


def bindings(recorded: Recorder) -> list[Registered]:
    return [item for item in kubernetes_objects(recorded) if "roleRef" in item.inputs]


def test_fault_21_a_preview_does_not_try_a_binding_before_its_role(declare: Declare) -> None:
    found = [item for item in bindings(declare(preview=True)) if provider_name(item) == "dev-host"]
    assert found and all(is_unknown(role_of(item)) for item in found)


@pytest.mark.parametrize("kind", ["hostNamespace", "inCluster"])
def test_fault_21_a_binding_comes_after_its_role_and_names_it(declare: Declare, kind: str) -> None:
    recorded = declare(secretsStore={"kind": kind}, cluster={"name": "dev", "ephemeral": True})
    own = {item.inputs["metadata"]["name"]: item for item in [*recorded.of("Role"), *recorded.of("ClusterRole")]}
    for item in bindings(recorded):
        role = str(role_of(item))
        assert role.startswith("system:") or own[role].name in recorded.before(item), item.name


def test_fault_21_a_binding_of_a_role_of_the_whole_cluster_waits_too() -> None:
    recorded = record(lambda: declare_all(Parent(), [ROLE, CLUSTER_BINDING], prefix="p"), preview=True)
    assert is_unknown(role_of(recorded.one("ClusterRoleBinding")))


def test_fault_21_a_binding_of_a_role_from_elsewhere_is_as_it_was() -> None:
    recorded = record(lambda: declare_all(Parent(), [CLUSTER_BINDING], prefix="p"), preview=True)
    assert role_of(recorded.one("ClusterRoleBinding")) == "r"


def test_fault_21_only_bindings_change() -> None:
    account, role, binding = store_reader.build_reader(build_args(RAW).config, "n")
    recorded = record(lambda: declare_all(Parent(), [account, role, binding], prefix="p"), preview=True)
    assert recorded.one("Role").inputs["rules"] == role["rules"]
    assert recorded.one("RoleBinding").inputs["subjects"] == binding["subjects"]
