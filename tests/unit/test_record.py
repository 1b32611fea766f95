"""The record of a cluster: the applied configuration; a damaged one is one error, and does not stop a destroy."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from kinky import names
from kinky.components.live_step import StepInputs
from kinky.components.properties import Properties, describe
from kinky.components.steps.applied import (
    ConfigurationAppliedInputs,
    ConfigurationAppliedOutputs,
    ConfigurationAppliedStep,
)
from kinky.components.steps.identity import HostGuardStep
from kinky.components.steps.keys import ClusterKeysInputs, ClusterKeysStep
from kinky.components.steps.record import ClusterRecordInputs, ClusterRecordOutputs, ClusterRecordStep
from kinky.config.change import list_fixed, list_values
from kinky.config.model import KinkyConfig
from kinky.errors import HostError
from kinky.fit import fit
from kinky.keys import material
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.ownership import record
from kinky.ownership.record_format import RecordError
from tests.unit import fitting_host
from tests.unit.fake_api import FakeConnection

STACK = "organization/kinky/dev"
OURS = HostAccess(
    kubeconfig="/k", context=None, namespace="ns", cluster="dev", host_uid="our-host", cluster_id="our-cluster"
)
RECORD = "/api/v1/namespaces/ns/configmaps/dev-record"
DAMAGED: dict[str, tuple[dict[str, Any] | None, str]] = {
    "no data": ({"data": {}}, "key version is missing"),
    "another version": ({"data": {"version": "7", "clusterId": "our-cluster"}}, "its version is 7; this kinky reads"),
    "settings cut off": ({"settings": '{"a": '}, "key settings is not JSON"),
    "settings of another kind": ({"settings": "[]"}, "key settings is a list"),
    "no identity": ({"clusterId": None}, "key clusterId is missing"),
}


@pytest.fixture
def made(host: FakeConnection) -> FakeConnection:
    """A host with the record of a cluster, as the claim writes it."""
    host.add("/api/v1/namespaces", "kube-system", metadata={"uid": "our-host"})
    host.add("/api/v1/namespaces", "ns", metadata={"labels": names.cluster_labels("dev")})
    record.ensure_record(HostApi.connect(OURS), STACK, list_fixed(fitting_host.make_config()))
    return host


def damage(host: FakeConnection, how: str) -> str:
    """Damage the record, and return a part of the error."""
    fields, told = DAMAGED[how]
    body = host.objects[RECORD]
    body["metadata"]["namespace"] = "ns"
    if fields and "data" in fields:
        body["data"] = dict(fields["data"])
    else:
        data = {**body["data"], **(fields or {})}
        body["data"] = {key: value for key, value in data.items() if value is not None}
    return told


def applied(cfg: KinkyConfig, *, image: str = "") -> Properties:
    """Return what the step is given that writes the applied configuration."""
    settings = json.dumps(list_values(cfg, image=image))
    return describe(
        ConfigurationAppliedInputs(access=OURS, settings=settings, release=cfg.release.name, cluster_uid="inner-uid")
    )


def fetch(cluster: str = "dev") -> record.ClusterRecord:
    found = record.fetch_record(HostApi.connect(OURS), cluster)
    assert found is not None
    return found


def test_the_record_holds_what_was_applied_and_nothing_secret(made: FakeConnection) -> None:
    cfg = fitting_host.make_config()
    material.ensure_cluster_keys(HostApi.connect(OURS), "dev")
    inputs = applied(cfg, image="example.test/node:1")
    outputs = ConfigurationAppliedStep().create(inputs).outs or {}
    found = fetch()
    assert found.settings == list_values(cfg, image="example.test/node:1")
    assert (found.image, found.release) == ("example.test/node:1", cfg.release.name)
    assert (found.cluster_uid, found.applied_at) == ("inner-uid", outputs["applied_at"])
    assert found.made_at
    assert found.ca_certificates.startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE KEY" not in json.dumps(made.objects[RECORD])
    assert not ConfigurationAppliedStep().diff("id", outputs, inputs).changes


def test_a_record_that_was_written_again_is_completed_by_the_next_up(made: FakeConnection) -> None:
    inputs = applied(fitting_host.make_config())
    outputs = describe(ConfigurationAppliedOutputs(applied_at="2026-11-22T00:00:00Z"))
    assert ConfigurationAppliedStep().diff("id", inputs | outputs, inputs).changes


def test_the_ca_is_in_the_record_as_soon_as_it_exists(made: FakeConnection) -> None:
    ClusterKeysStep().create(describe(ClusterKeysInputs(access=OURS, kms_config="")))
    files = material.fetch_key_files(HostApi.connect(OURS), "dev")
    assert fetch().ca_certificates == files["ca.crt"].decode()


def test_a_new_pool_is_added_and_what_was_applied_stays(made: FakeConnection) -> None:
    record.ensure_record(HostApi.connect(OURS), STACK, {"controlPlane.replicas": 3, "workers.new.taints": []})
    assert fetch().settings["controlPlane.replicas"] == 1
    assert fetch().settings["workers.new.taints"] == []


def test_a_cluster_that_is_taken_over_keeps_its_settings(made: FakeConnection) -> None:
    before = fetch()
    record.ensure_record(HostApi.connect(replace(OURS, cluster_id="new")), STACK, {}, take_over=True)
    assert fetch() == replace(before, cluster_id="new")


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_record_is_one_clear_error(made: FakeConnection, how: str) -> None:
    told = damage(made, how)
    with pytest.raises(RecordError, match="ConfigMap ns/dev-record, cannot be read") as caught:
        record.fetch_record(HostApi.connect(OURS), "dev")
    assert told in str(caught.value)
    assert "kinky destroy still removes the cluster" in str(caught.value)


@pytest.mark.parametrize("how", DAMAGED)
def test_a_destroy_works_with_a_damaged_record(made: FakeConnection, how: str) -> None:
    damage(made, how)
    HostApi.connect(OURS).require_host()
    HostGuardStep().delete("id", describe(StepInputs(access=OURS)))
    claim = ClusterRecordInputs(
        access=OURS,
        stack=STACK,
        settings="{}",
        create_namespace=False,
        namespace_body={},
        residue_seconds=1.0,
        retained=(),
    )
    ClusterRecordStep().delete(
        "id", describe(claim) | describe(ClusterRecordOutputs(namespace_created=False, owners=()))
    )
    assert RECORD not in made.objects


def test_a_record_without_identity_proves_nothing_on_an_unknown_host(made: FakeConnection) -> None:
    damage(made, "no identity")
    with pytest.raises(HostError, match="holds another inner cluster dev"):
        HostApi.connect(replace(OURS, host_uid="")).require_host()


@pytest.fixture
def fitting(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> FakeConnection:
    return fitting_host.build_host(monkeypatch, tmp_path)


def test_fit_refuses_a_damaged_record_and_touches_nothing(fitting: FakeConnection) -> None:
    record.ensure_record(HostApi.connect(fitting_host.ACCESS), "me", {})
    damage(fitting, "another version")
    fitting.calls.clear()
    message = fitting_host.refuse(fitting_host.make_config())
    assert "the host cluster does not fit: 1 problem; nothing was touched" in message
    assert "ConfigMap ns/dev-record, cannot be read; its version is 7; this kinky reads version 1" in message
    assert {method for method, path in fitting.calls if "accessreviews" not in path} == {"GET"}


def test_fit_announces_what_waits_for_a_restart(fitting: FakeConnection) -> None:
    before, api = fitting_host.make_config(), HostApi.connect(fitting_host.ACCESS)
    record.ensure_record(api, "me", list_values(before, image="example.test/node:1"))
    after = fitting_host.make_config(controlPlane={"memoryMib": 4096})
    warnings = fit.check_fit(after, api, stack="me", image="example.test/node:2").warnings
    assert warnings == (
        'image.reference = "example.test/node:2": was "example.test/node:1"; takes effect when these nodes restart: '
        "dev-control-plane-0, dev-worker-0",
        "controlPlane.memoryMib = 4096: was 3072; takes effect when these nodes restart: dev-control-plane-0",
    )
    assert fit.check_fit(before, api, stack="me", image="example.test/node:1").warnings == ()


def test_a_node_that_is_new_is_not_announced(fitting: FakeConnection) -> None:
    record.ensure_record(HostApi.connect(fitting_host.ACCESS), "me", list_values(fitting_host.make_config()))
    after = fitting_host.make_config(workers=[{"pool": "worker", "replicas": 3, "memoryMib": 4096}, {"pool": "b"}])
    (line,) = fit.check_fit(after, HostApi.connect(fitting_host.ACCESS), stack="me").warnings
    assert line.endswith("takes effect when these nodes restart: dev-worker-0")
