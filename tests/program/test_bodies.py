"""From bodies to resources."""

from __future__ import annotations

from typing import Any

import pulumi

from kinky.components.bodies import declare, declare_all
from tests.program.recorder import Recorder, record

SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s", "namespace": "n", "labels": {"kinky.dev/cluster": "dev"}},
    "spec": {"clusterIP": "10.0.0.1", "publishNotReadyAddresses": True, "ports": [{"port": 1, "targetPort": 1}]},
}
SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "u", "namespace": "n"},
    "immutable": True,
    "stringData": {"userdata": "text"},
}
MACHINE: dict[str, Any] = {
    "apiVersion": "kubevirt.io/v1",
    "kind": "VirtualMachine",
    "metadata": {"name": "m", "namespace": "n"},
    "spec": {"runStrategy": "Always"},
}
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.com"},
    "spec": {"names": {"plural": "things"}, "versions": [{"schema": {"x-kubernetes-preserve-unknown-fields": True}}]},
}
NAMESPACE: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}


class Parent(pulumi.ComponentResource):
    def __init__(self) -> None:
        super().__init__("kinky:test:Parent", "parent")


def run(*bodies: dict[str, Any], **options: Any) -> Recorder:
    return record(lambda: [declare(Parent(), body, **options) for body in bodies])


def test_a_body_reaches_the_provider_as_it_is() -> None:
    for body in (SERVICE, SECRET, MACHINE, DEFINITION):
        inputs = run(body).one(body["kind"]).inputs
        sent = {key: value for key, value in inputs.items() if key != "metadata"}
        wanted = {key: value for key, value in body.items() if key != "metadata"}
        assert sent == wanted
        assert {key: inputs["metadata"][key] for key in body["metadata"]} == body["metadata"]


def test_a_kind_has_the_type_that_its_provider_knows() -> None:
    assert run(SECRET).one("Secret").type == "kubernetes:core/v1:Secret"
    assert run(DEFINITION).one(DEFINITION["kind"]).type == "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
    assert run(MACHINE).one("VirtualMachine").type == "kubernetes:kubevirt.io/v1:VirtualMachine"


def test_only_the_values_of_a_secret_are_secret() -> None:
    secret = run({**SECRET, "data": {"key": "dGV4dA=="}}).one("Secret")
    assert secret.secrets == secret.secret_outputs == {"data", "stringData"}
    assert run(SECRET).one("Secret").secrets == {"stringData"}
    service = run(SERVICE).one("Service")
    assert not service.secrets | service.secret_outputs


def test_only_kinds_that_would_be_awaited_are_annotated() -> None:
    assert run(SERVICE).one("Service").inputs["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
    assert "annotations" not in run(SERVICE, await_ready=True).one("Service").inputs["metadata"]


def test_a_machine_s_fields_become_the_program_s_when_it_declares_them() -> None:
    annotations = run(MACHINE).one("VirtualMachine").inputs["metadata"]["annotations"]
    assert annotations == {"pulumi.com/patchForce": "true"}


def test_a_definition_is_waited_for() -> None:
    annotations = run(DEFINITION).one("CustomResourceDefinition").inputs["metadata"]["annotations"]
    assert annotations == {"pulumi.com/waitFor": "condition=Established"}


def test_a_body_is_not_changed() -> None:
    run(SERVICE)
    assert "annotations" not in SERVICE["metadata"]


def test_what_lives_in_a_new_namespace_comes_after_it() -> None:
    recorded = record(lambda: declare_all(Parent(), [NAMESPACE, SERVICE], prefix="p"))
    assert recorded.before(recorded.one("Service")) == {"p/cluster/namespace/n"}
