"""The whole program on every stack file, asserted on what the engine would have been given."""

from __future__ import annotations

import json

import pulumi
import pytest

from kinky.components.cluster_args import InnerClusterArgs
from kinky.manifests.host_names import list_host_names
from kinky.topology.nodes import build_nodes, control_planes, workers
from tests.program.recorder import (
    STEP_OUTPUTS,
    Declare,
    Recorder,
    kubernetes_objects,
    object_name,
    provider_name,
    record,
)


def test_every_node_has_a_machine_an_address_and_its_files(recorded: Recorder, stack_args: InnerClusterArgs) -> None:
    nodes = build_nodes(stack_args.config)
    wanted = {node.name for node in nodes}
    assert {object_name(item) for item in recorded.of("VirtualMachine")} == wanted
    assert {object_name(item) for item in recorded.of("Service")} >= wanted
    for node in nodes:
        secret = recorded.one("Secret", f"{node.name}-user-data")
        volumes = recorded.one("VirtualMachine", node.name).inputs["spec"]["template"]["spec"]["volumes"]
        by_name = {volume["name"]: volume for volume in volumes}
        assert by_name["cidata"]["cloudInitNoCloud"]["secretRef"]["name"] == object_name(secret)
        own = recorded.one("Service", node.name)
        address = recorded.resources[own.urn].state["spec"]["clusterIPs"][0]
        assert address in secret.inputs["stringData"]["userdata"]


def test_machines_are_declared_at_once(recorded: Recorder) -> None:
    machines = {item.name for item in recorded.of("VirtualMachine")}
    for item in recorded.of("VirtualMachine"):
        assert not recorded.before(item) & machines


def test_a_machine_comes_after_all_that_it_names(recorded: Recorder, stack_args: InnerClusterArgs) -> None:
    for node in control_planes(build_nodes(stack_args.config)):
        before = recorded.before(recorded.one("VirtualMachine", node.name))
        assert f"{stack_args.config.cluster.name}-keys" in before
        for claim in recorded.of("PersistentVolumeClaim"):
            assert (claim.name in before) == (object_name(claim) == f"{node.name}-etcd")
    for node in workers(build_nodes(stack_args.config)):
        assert f"{node.name}-credentials" in recorded.before(recorded.one("VirtualMachine", node.name))


def test_the_record_is_created_first_and_deleted_last(recorded: Recorder) -> None:
    record, identity = recorded.one("ClusterRecord"), recorded.one("ClusterIdentity").name
    assert recorded.before(record) == {identity}
    for item in recorded.seen:
        if item.custom and item.name not in (record.name, identity):
            assert {record.name, identity} <= recorded.before(item), item.name


def test_fault_00_the_guard_is_deleted_before_anything_on_the_host(recorded: Recorder) -> None:
    guard, inside = sorted(recorded.of("HostGuard"), key=lambda item: item.name)
    on_host = {item.name for item in kubernetes_objects(recorded) if provider_name(item).endswith("-host")}
    assert on_host
    assert on_host <= recorded.before(guard)
    assert {item.name for item in kubernetes_objects(recorded)} <= recorded.before(guard) | recorded.before(inside)


def test_host_and_inner_objects_never_share_a_provider(recorded: Recorder, stack_args: InnerClusterArgs) -> None:
    cluster = stack_args.config.cluster.name
    namespaces = {"host": {stack_args.config.host.namespace}, "workloads": {"web"}}
    for item in kubernetes_objects(recorded):
        role = provider_name(item).removeprefix(f"{cluster}-")
        assert role in ("host", "inner", "workloads"), item.name
        if role in namespaces:
            namespace = item.inputs["metadata"].get("namespace")
            assert namespace in namespaces[role] or item.kind == "Namespace", item.name


def test_inner_objects_come_after_the_proof_from_outside(recorded: Recorder, stack_args: InnerClusterArgs) -> None:
    outside = recorded.one("OutsideReady")
    machines = {item.name for item in recorded.of("VirtualMachine")}
    assert machines <= recorded.before(outside)
    for item in kubernetes_objects(recorded):
        if provider_name(item) != f"{stack_args.config.cluster.name}-host":
            assert outside.name in recorded.before(item), item.name


def test_only_the_node_network_comes_before_ready_nodes(recorded: Recorder) -> None:
    ready = recorded.one("NodesReady")
    for kind in ("Deployment", "CustomResourceDefinition", "ClusterSecretStore", "ExternalSecret"):
        for item in recorded.of(kind):
            assert ready.name in recorded.before(item), item.name
    for item in recorded.of("DaemonSet"):
        assert item.name in recorded.before(ready)


def test_nothing_is_written_inside_before_the_gate(recorded: Recorder, stack_args: InnerClusterArgs) -> None:
    gate = recorded.one("Gate")
    assert recorded.one("OutsideReady").name in recorded.before(gate)
    inside = [item for item in kubernetes_objects(recorded) if not provider_name(item).endswith("-host")]
    assert inside
    live = [recorded.one("NodesReady"), *recorded.of("StoreCredential"), recorded.one("GateOpened")]
    for item in [*inside, *live]:
        assert gate.name in recorded.before(item), item.name


def test_the_gate_is_asked_again_for_another_worker(declare: Declare) -> None:
    first = declare().one("GateOpened").inputs
    second = declare(workers=[{"pool": "worker", "replicas": 2}]).one("GateOpened").inputs
    assert {key for key in second if second[key] != first[key]} == {"workers"}
    assert set(second["workers"]) > set(first["workers"])


def test_nobody_else_owns_what_the_gate_writes(recorded: Recorder) -> None:
    assert "kinky-system" not in {object_name(item) for item in recorded.of("Namespace")}
    assert not recorded.of("ValidatingAdmissionPolicy")
    assert "kinky-gate" not in {object_name(item) for item in recorded.of("ConfigMap")}


def test_nothing_of_the_workload_exists_before_the_gate_is_open(
    recorded: Recorder, stack_args: InnerClusterArgs
) -> None:
    opened = recorded.one("GateOpened")
    workload = [item for item in kubernetes_objects(recorded) if provider_name(item).endswith("-workloads")]
    assert bool(workload) == stack_args.config.workload.enabled
    for item in workload:
        assert opened.name in recorded.before(item), item.name


def test_kinds_of_the_store_are_defined_before_they_are_used(recorded: Recorder) -> None:
    definitions = {item.name for item in recorded.of("CustomResourceDefinition")}
    assert definitions
    for item in [*recorded.of("ClusterSecretStore"), *recorded.of("ExternalSecret")]:
        assert definitions <= recorded.before(item), item.name


def test_destroy_skips_what_dies_with_the_cluster(recorded: Recorder, stack_args: InnerClusterArgs) -> None:
    cluster = recorded.one("InnerCluster").urn
    for item in kubernetes_objects(recorded):
        on_host = provider_name(item) == f"{stack_args.config.cluster.name}-host"
        assert recorded.deleted_with(item) == ("" if on_host else cluster), item.name


def test_children_carry_no_options_but_their_parent(recorded: Recorder) -> None:
    for item in recorded.seen:
        if item.type.startswith("kubernetes:"):
            assert "kinky:" in item.parent, item.name
            assert not item.deleted_with, item.name


def test_names_do_not_collide(recorded: Recorder) -> None:
    urns = [item.urn for item in recorded.seen]
    assert len(urns) == len(set(urns))


def test_no_key_or_token_passes_through_the_engine(recorded: Recorder) -> None:
    text = json.dumps([item.inputs for item in recorded.seen])
    for forbidden in ("PRIVATE KEY", "client-key-data", "certificate-authority-data", "eyJhbGciOi"):
        assert forbidden not in text


def test_the_host_provider_knows_a_path_and_no_content(recorded: Recorder) -> None:
    host = next(item for item in recorded.of("kubernetes") if item.name.endswith("-host"))
    assert host.inputs["kubeconfig"] == "/home/me/host.yaml"


def test_nothing_waits_for_pods_before_there_are_machines(recorded: Recorder, stack_args: InnerClusterArgs) -> None:
    for item in kubernetes_objects(recorded):
        if provider_name(item) != f"{stack_args.config.cluster.name}-host":
            continue
        annotations = item.inputs["metadata"].get("annotations", {})
        skipped = annotations.get("pulumi.com/skipAwait") == "true"
        # A skipped wait would skip the one for the deletion too, and a claim must not go before its machine.
        assert skipped == (item.kind in ("Service", "PersistentVolumeClaim", "ServiceAccount")), item.name


def test_no_output_of_a_step_hides_an_input(recorded: Recorder) -> None:
    """An input that is hidden would look changed at each run, and would be lost to the deletion."""
    for item in recorded.seen:
        if item.type.startswith("pulumi-python:"):
            assert not STEP_OUTPUTS[item.kind].keys() & item.inputs.keys(), item.name


def test_exports_tell_the_user_what_to_use(recorded: Recorder) -> None:
    assert set(recorded.exports) == {"endpoint", "kubeconfig", "nodes", "evidence", "timings"}
    assert recorded.exports["endpoint"].startswith("https://")


def test_retained_etcd_keeps_its_claim_and_the_keys_that_read_it(declare: Declare) -> None:
    recorded = declare(controlPlane={"etcdRetain": True})
    assert recorded.one("PersistentVolumeClaim").retain_on_delete
    assert recorded.one("ClusterKeys").retain_on_delete
    assert recorded.one("ClusterRecord").inputs["retained"] == [
        "Secret/dev-pki",
        "PersistentVolumeClaim/dev-control-plane-0-etcd",
    ]
    assert not declare().one("PersistentVolumeClaim").retain_on_delete


def test_an_ephemeral_cluster_has_no_claim(declare: Declare) -> None:
    assert not declare(cluster={"name": "dev", "ephemeral": True}).of("PersistentVolumeClaim")


def test_changed_user_data_changes_the_name_of_its_secret(declare: Declare) -> None:
    first = declare()
    second = declare(cluster={"name": "dev", "domain": "other.local"})
    for node in ("dev-control-plane-0", "dev-worker-0"):
        one, other = (recorded.one("Secret", f"{node}-user-data") for recorded in (first, second))
        assert one.urn == other.urn
        assert object_name(one) != object_name(other)


def test_another_worker_changes_no_other_node(declare: Declare) -> None:
    first = declare()
    second = declare(workers=[{"pool": "worker", "replicas": 2}])
    for node in ("dev-control-plane-0", "dev-worker-0"):
        name = f"{node}-user-data"
        assert object_name(first.one("Secret", name)) == object_name(second.one("Secret", name))


def test_two_runs_register_the_same(declare: Declare) -> None:
    def told(recorded: Recorder) -> dict[str, object]:
        return {item.urn: item.inputs for item in recorded.seen}

    assert told(declare()) == told(declare())


def test_a_first_preview_registers_the_same_resources(declare: Declare) -> None:
    """Their names and their number never depend on what the host answers."""
    preview = declare(preview=True)
    assert sorted(item.urn for item in preview.seen) == sorted(item.urn for item in declare().seen)
    assert isinstance(preview.one("Secret", "dev-worker-0-user-data").inputs["metadata"]["name"], pulumi.output.Unknown)


def test_an_output_in_a_text_is_refused() -> None:
    def mistake() -> None:
        pulumi.export("text", f"{pulumi.Output.from_input('value')}")

    with pytest.raises(Exception, match="__str__ on an Output"):
        record(mistake)


def test_console_logs_end_once_the_gate_is_open_and_only_if_asked(declare: Declare) -> None:
    recorder = declare(virtualMachine={"serialConsoleLog": "bootstrap"})
    step = recorder.one("ConsoleLogsStopped")
    assert {"dev-gate-opened"} <= recorder.before(step)
    assert step.inputs["nodes"] == ["dev-control-plane-0", "dev-worker-0"]
    machines = recorder.of("VirtualMachine")
    devices = [machine.inputs["spec"]["template"]["spec"]["domain"]["devices"] for machine in machines]
    assert devices and all("logSerialConsole" not in each for each in devices), "the step alone owns the field"
    for kept in ("always", "never"):
        assert declare(virtualMachine={"serialConsoleLog": kept}).of("ConsoleLogsStopped") == []


def test_the_kms_s_settings_reach_the_step_that_makes_the_keys(declare: Declare) -> None:
    assert declare().one("ClusterKeys").inputs["kms_config"] == ""
    asked = {"provider": "kms", "kmsSocket": "/run/kms/plugin.sock"}
    assert "unix:///run/kms/plugin.sock" in declare(encryption=asked).one("ClusterKeys").inputs["kms_config"]


def test_no_provider_renders_to_a_directory(recorded: Recorder) -> None:
    providers = recorded.of("kubernetes")
    assert len(providers) == 3
    assert not [provider.name for provider in providers if "renderYamlToDirectory" in provider.inputs]


def test_fault_03_each_name_on_the_host_begins_with_the_clusters(
    recorded: Recorder, stack_args: InnerClusterArgs
) -> None:
    """Two clusters of which neither name begins with the other's and a hyphen can then never meet."""
    cfg = stack_args.config
    on_host = [item for item in kubernetes_objects(recorded) if provider_name(item).endswith("-host")]
    made = {(item.kind, object_name(item)) for item in on_host}
    assert made
    assert all(name.startswith(f"{cfg.cluster.name}-") for _kind, name in made | list_host_names(cfg))
    known = {(kind, name) for kind, name in made if not name.rpartition("-user-data-")[0]}
    assert known <= list_host_names(cfg), "a name that fit does not look for"
