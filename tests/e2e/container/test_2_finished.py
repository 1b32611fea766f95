"""The main job: a finished cluster, proved from outside; its nodes are replaced."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from secrets import token_hex

import pytest

from kinky import names
from kinky.errors import CommandError
from kinky.retry import pause
from kinky.scan.secret import KnownSecret
from kinky.topology.nodes import build_nodes
from tests.e2e import connections, engine_state, foreign, gate, identity, services, values
from tests.e2e.person import VERBOSE, Person, is_ready, wait_for
from tests.e2e.rotation import check_rotation

pytestmark = pytest.mark.host

NUDGED_SECONDS = 30.0
"""A pod that was refused is created this soon after the gate has opened (S12)."""
REFRESH_LOG = "refresh.log"
"""What a real refresh has printed; the scan is given it, and what each killed `up` has printed."""
TOLD_SECONDS = 90.0
"""A store that fails is told within this time (S13, S17); its canary is read again every 30 s."""


@pytest.fixture(scope="module")
def refreshed(finished: Person, first_secrets: list[KnownSecret]) -> Person:
    """The same after one real refresh, which has read everything back into the state; what it printed is kept."""
    finished.pulumi("refresh", "--yes", "--skip-preview", *VERBOSE, log=finished.scratch / REFRESH_LOG)
    return finished


def test_all_nodes_are_ready_under_their_names(finished: Person) -> None:
    nodes = finished.nodes()
    assert set(nodes) == {node.name for node in build_nodes(finished.stack.config)}
    assert all(is_ready(node) for node in nodes.values())
    versions = {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes.values()}
    assert versions == {finished.stack.config.cluster.kubernetes_version}


def test_logs_and_exec_reach_the_workers(finished: Person) -> None:
    """A node with a wrong address looks Ready; only what goes through its kubelet shows it."""
    pods = finished.kubectl("get", "pods", "--namespace", names.NAMESPACE_WORKLOAD, "--output", "name").split()
    assert pods
    finished.kubectl("logs", "--namespace", names.NAMESPACE_WORKLOAD, pods[0], "--tail", "1")


def test_workload_reads_its_value_from_the_store(finished: Person) -> None:
    services.check_workload(finished)


def _reads_its_value(finished: Person) -> bool:
    services.check_workload(finished)
    return True


def test_services_answer_after_kube_proxy_was_started_anew(finished: Person) -> None:
    services.check_after_restart(finished)


def test_fault_27_no_connection_ends_with_another_one(finished: Person) -> None:
    connections.check_independent(finished)


def test_second_preview_and_up_change_nothing(finished: Person) -> None:
    finished.kinky("preview", "--stack", finished.stack.stack, "--expect-no-changes", limit_seconds=300)
    finished.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_fault_01_a_change_that_nobody_can_follow_is_refused(finished: Person) -> None:
    foreign.check_change_is_refused(finished)


def test_fault_03_objects_of_another_cluster_are_left_alone(finished: Person, tmp_path: Path) -> None:
    foreign.check_objects_of_another_cluster(finished, tmp_path)


def test_fault_06_another_state_is_told_whose_the_cluster_is(finished: Person, tmp_path: Path) -> None:
    foreign.check_another_state(finished, tmp_path)


def test_fault_00_a_destroy_stops_before_another_cluster(finished: Person) -> None:
    foreign.check_another_identity(finished)


def test_value_of_the_operator_reaches_the_inner_cluster_past_pulumi(finished: Person, tmp_path: Path) -> None:
    stack = finished.stack.stack
    with values.seed(finished, "e2e", tmp_path) as value:
        finished.kinky("preview", "--stack", stack, "--expect-no-changes", limit_seconds=300)
        told = json.loads(finished.kinky("secrets", "list", "--stack", stack, "--json"))
    listed = {each["name"]: each for each in told}
    assert listed["e2e"]["keys"] == {"value": hashlib.sha256(value.encode()).hexdigest()[: names.FINGERPRINT_LENGTH]}
    assert {name for name, each in listed.items() if each["madeBy"] == "program"} >= {"canary"}
    assert "e2e" not in finished.host("get", "secrets,roles,rolebindings", "--output", "name")


def test_break_glass_certificate_opens_the_api(finished: Person, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    finished.write_break_glass(kubeconfig)
    # Not /readyz: it may fail for a moment for reasons of its own.
    asked = finished.kubectl("--kubeconfig", str(kubeconfig), "auth", "whoami", "--output", "json")
    assert "system:masters" in json.loads(asked)["status"]["userInfo"]["groups"]
    records = finished.host("get", "configmaps", "--selector", names.LABEL_BREAK_GLASS, "--output", "name").split()
    assert len(records) == 1


def test_state_holds_no_secret(finished: Person) -> None:
    engine_state.check_no_secret(finished)


def test_s3_only_what_is_documented_is_encrypted_in_the_state(finished: Person) -> None:
    """docs/leaks.md lists it; a secret elsewhere would be a value that the engine has seen."""
    assert engine_state.find_encrypted(finished) == engine_state.ENCRYPTED


def test_s3_the_state_holds_no_secret_after_a_refresh(refreshed: Person) -> None:
    engine_state.check_no_secret(refreshed)


def test_s20_no_bootstrap_token_opens_the_api(finished: Person, tmp_path: Path) -> None:
    """One that kubeadm would take is made by hand; a ServiceAccount's token on the same way is taken."""
    public, secret = token_hex(3), token_hex(8)
    manifest = tmp_path / "token.json"
    manifest.write_text(json.dumps(identity.build_bootstrap_token(public, secret)))
    finished.kubectl("create", "--filename", str(manifest))
    try:
        issued = finished.kubectl("create", "token", "default", "--namespace", "default").strip()
        taken = identity.write_kubeconfig(finished, tmp_path / "taken", token=issued)
        assert "gitVersion" in finished.kubectl("--kubeconfig", taken, "get", "--raw", "/version")
        refused = identity.write_kubeconfig(finished, tmp_path / "refused", token=f"{public}.{secret}")
        with pytest.raises(CommandError, match="Unauthorized"):
            finished.kubectl("--kubeconfig", refused, "get", "--raw", "/version")
    finally:
        finished.kubectl("delete", "--filename", str(manifest))


def test_s21_a_node_gets_no_certificate_but_its_own(finished: Person, tmp_path: Path) -> None:
    """The one for its own name is approved meanwhile, so the approver has seen the others."""
    requests = identity.build_requests(finished.worker)
    act_as = identity.act_as(finished.worker)
    foreign, manifest = tmp_path / "foreign.json", tmp_path / "requests.json"
    # NodeRestriction does not even take a request for another node's name.
    foreign.write_text(json.dumps(requests.pop("another name")))
    with pytest.raises(CommandError, match=f"can only create a node CSR with CN=system:node:{finished.worker}"):
        finished.kubectl("create", "--filename", str(foreign), *act_as)
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(requests.values())}))
    try:
        finished.kubectl("create", "--filename", str(manifest), *act_as)
        wait_for(
            "the node's own certificate", lambda: "own" in identity.fetch_issued(finished, requests), limit_seconds=120
        )
        pause(identity.LATE_SECONDS)
        assert identity.fetch_issued(finished, requests) == {"own"}
    finally:
        finished.kubectl("delete", "--filename", str(manifest), "--ignore-not-found")


def test_the_gate_is_open_on_evidence(finished: Person) -> None:
    shown = json.loads(finished.kinky("gate", "show", "--stack", finished.stack.stack, "--json"))
    assert (shown["state"], shown["findings"], shown["tainted_nodes"]) == ("open", [], [])
    told = json.loads(finished.kinky("outputs", "evidence", "--stack", finished.stack.stack, "--json"))
    assert [item["item"] for item in told["gate"]["items"]] == [f"G{number}" for number in range(1, 8)]
    for kind in ("bare", "tolerates every taint", "has its node", "has a generated name"):
        assert gate.DENIED not in gate.create(finished, gate.build_pods(finished.worker)[kind], "--dry-run=server")


def test_s11_s12_a_closed_gate_refuses_every_way_and_an_opened_one_makes_up_for_it(finished: Person) -> None:
    stack = finished.stack.stack
    finished.kinky("gate", "close", "--stack", stack)
    try:
        gate.check_refusals(finished)
        for kind, owner in gate.build_owners().items():
            gate.create(finished, owner)
            wait_for(f"a refused {kind}", partial(gate.is_denied, finished, kind), limit_seconds=60)
        assert gate.fetch_pods(finished) == []
        test_workload_reads_its_value_from_the_store(finished)
    finally:
        finished.open_gate()
    wanted = {"ReplicaSet", "DaemonSet", "Job"}
    wait_for("a pod of each owner", lambda: wanted <= gate.fetch_owner_kinds(finished), limit_seconds=NUDGED_SECONDS)
    finished.kubectl("delete", "deployment,daemonset,job", "s11", "--namespace", gate.NAMESPACE)
    wait_for("no pod of theirs", lambda: not gate.fetch_pods(finished), limit_seconds=120)


def test_s11_without_the_binding_of_its_policy_the_refusals_are_missed(finished: Person) -> None:
    """The guard is taken out while the gate is closed: then what asserts S11 fails, and kinky makes it again."""
    stack = finished.stack.stack
    finished.kinky("gate", "close", "--stack", stack)
    try:
        finished.kubectl("delete", "validatingadmissionpolicybinding", names.GATE)
        wait_for("an API server without the wall", lambda: "created" in gate.try_pod(finished), limit_seconds=60)
        with pytest.raises(AssertionError, match="bare"):
            gate.check_refusals(finished)
        assert f"CRITICAL: ValidatingAdmissionPolicyBinding {names.GATE} is not there" in finished.show_gate()
        finished.kinky("gate", "close", "--stack", stack)
        gate.check_refusals(finished)
    finally:
        finished.open_gate()


def test_s16_a_gate_whose_right_is_gone_is_closed_and_opens_on_evidence(finished: Person) -> None:
    finished.kubectl("delete", "rolebinding", names.GATE, "--namespace", names.NAMESPACE_KINKY)
    shown = finished.show_gate()
    assert shown.startswith("closed ") and f"CRITICAL: RoleBinding {names.GATE} is not there" in shown
    wait_for("a closed gate", lambda: gate.DENIED in gate.try_pod(finished), limit_seconds=60)
    finished.open_gate()
    assert gate.DENIED not in gate.try_pod(finished)


def test_s16_a_gate_whose_record_is_gone_is_told(finished: Person) -> None:
    stack = finished.stack.stack
    finished.kubectl("delete", "configmap", names.GATE, "--namespace", names.NAMESPACE_KINKY)
    with pytest.raises(CommandError, match=f"CRITICAL: ConfigMap {names.GATE} is not there"):
        finished.kinky("gate", "show", "--stack", stack)
    finished.open_gate()
    gate.wait_works(finished)


def test_s13_a_store_that_is_down_stops_no_pod_and_no_worker_that_returns(finished: Person) -> None:
    worker, elsewhere = finished.worker, gate.find_pods_elsewhere(finished)
    assert elsewhere
    with gate.without_store(finished):
        wait_for("CRITICAL", lambda: "CRITICAL: the secrets store" in finished.show_gate(), limit_seconds=TOLD_SECONDS)
        finished.replace(worker)
        # S14: the kubelet puts the gate's taint on a new Node object only.
        taints = finished.nodes()[worker]["spec"].get("taints", [])
        assert names.GATE_TAINT not in {taint["key"] for taint in taints}
        assert "created" in gate.create(finished, gate.build_pods(worker)["bare"])
        wait_for("a pod on the worker", lambda: gate.fetch_nodes_of_pods(finished) == [worker], limit_seconds=60)
        finished.kubectl("delete", "pod", "s11", "--namespace", gate.NAMESPACE)
        # Its pod was on the worker; what it reads was copied before the store was down.
        wait_for("the workload", partial(_reads_its_value, finished), limit_seconds=300)
        assert elsewhere <= gate.find_pods_elsewhere(finished)
        assert "CRITICAL: the secrets store" in finished.show_gate()
    gate.wait_works(finished)


def test_s17_a_token_that_was_ended_is_told_and_a_new_one_heals(finished: Person) -> None:
    """The host takes a token whose anchor is gone for none, like one that has expired."""
    anchors = ("secrets", "--selector", f"{names.LABEL_STORE_ANCHOR}=true")
    assert finished.host("get", *anchors, "--output", "name")
    finished.host("delete", *anchors)
    wait_for("CRITICAL", lambda: "CRITICAL: the secrets store" in finished.show_gate(), limit_seconds=TOLD_SECONDS)
    check_rotation(finished, "store-credential")
    gate.wait_works(finished)
    assert len(finished.host("get", *anchors, "--output", "name").split()) == 1


def test_up_mends_what_was_changed_inside_past_pulumi(finished: Person) -> None:
    stack, worker = finished.stack.stack, finished.worker
    finished.kubectl("delete", "validatingadmissionpolicy", names.GATE)
    audited = json.dumps({"spec": {"validationActions": ["Audit"]}})
    finished.kubectl("patch", "validatingadmissionpolicybinding", names.GATE, "--type", "merge", "--patch", audited)
    finished.kubectl("taint", "node", worker, f"{names.GATE_TAINT}=:NoSchedule")
    finished.host("delete", "secrets", "--selector", f"{names.LABEL_STORE_ANCHOR}=true")
    finished.up()
    shown = finished.show_gate()
    assert (
        shown.startswith("open since")
        and "is not there" not in shown
        and "declared is" not in shown
        and worker not in shown
    )
    gate.wait_works(finished)
    finished.kinky("preview", "--stack", stack, "--expect-no-changes", limit_seconds=300)


def test_control_plane_that_dies_returns_with_its_data(finished: Person) -> None:
    finished.kubectl("create", "configmap", "survivor", "--from-literal=written=before")
    finished.replace(finished.control_plane)
    kept = finished.kubectl("get", "configmap", "survivor", "--output", "jsonpath={.data.written}")
    assert kept == "before"
    # The API may go on with what it has in memory; a write proves that etcd is back.
    finished.kubectl("delete", "configmap", "survivor")


def test_s14_a_node_that_returned_is_not_held_back(finished: Person) -> None:
    """Its kubelet registers with the gate's taint, but its Node object has lost that already."""
    shown = json.loads(finished.kinky("gate", "show", "--stack", finished.stack.stack, "--json"))
    assert shown["tainted_nodes"] == []


def test_nothing_changed_by_replacement(finished: Person) -> None:
    finished.kinky("preview", "--stack", finished.stack.stack, "--expect-no-changes", limit_seconds=300)
