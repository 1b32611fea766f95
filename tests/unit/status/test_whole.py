"""The whole of a status over real sockets on loopback: healthy, and with one thing broken at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Never

import pytest

from kinky.errors import HostError
from kinky.kube.connection import Reply, UnavailableError
from kinky.status import fault_server, probes
from kinky.status.judgement import Word, find_exit_code
from kinky.status.observation import Side, State
from tests.unit.status.healthy import CANARIES, VMIS, Healthy, add_node, serve_healthy
from tests.unit.status.seen import judge_all


def test_t1_a_healthy_cluster_is_ok_in_every_capability(healthy: Healthy) -> None:
    verdicts = judge_all(healthy.target())
    bad = {name: verdict.why for name, verdict in verdicts.items() if verdict.word is not Word.OK}
    assert not bad
    assert {*verdicts} == {*probes.CAPABILITIES, "self"} - {"scheduling"}
    assert find_exit_code([*verdicts.values()]) == 0


@pytest.mark.parametrize(
    ("certificate", "reason", "words"),
    [
        (fault_server.OTHER_CA, "wrong-ca", "wrong CA"),
        (fault_server.OTHER_NAME, "wrong-name", "for another name"),
        (fault_server.EXPIRED, "expired", "has expired"),
        (fault_server.NOT_YET, "not-yet-valid", "not valid yet"),
    ],
)
def test_t3_t4_a_certificate_that_is_not_ours_is_named_and_not_called_down(
    healthy: Healthy, certificate: str, reason: str, words: str
) -> None:
    server = healthy.serve(certificate=certificate, answer=healthy.answer)
    verdict = judge_all(healthy.target(server=f"https://127.0.0.1:{server.port}"), "api")["api"]
    assert (verdict.word, verdict.outside.reason) == (Word.CRITICAL, reason)
    assert words in verdict.why and "down" not in verdict.why


@pytest.mark.parametrize(
    ("page", "reason"),
    [("<h1>It works!</h1>", "wrong-body"), (f"greeting=hello\nproof={'0' * 64}\n", "stale")],
    ids=["default page", "replayed answer"],
)
def test_t5_a_default_page_and_a_replayed_answer_are_critical(healthy: Healthy, page: str, reason: str) -> None:
    healthy.web = page
    verdict = judge_all(healthy.target(), "service")["service"]
    assert (verdict.word, verdict.outside.reason, verdict.disagree) == (Word.CRITICAL, reason, True)


def test_t6_a_path_that_is_gone_while_all_inside_is_ready_is_a_disagreement(healthy: Healthy) -> None:
    gone = healthy.serve(fault=fault_server.RESET)
    healthy.ports[("", 30080)] = gone.port
    verdicts = judge_all(healthy.target(), "service")
    verdict = verdicts["service"]
    assert (verdict.word, verdict.disagree) == (Word.CRITICAL, True)
    assert "the inside believes that all is well" in verdict.why and "NodePort 30080" in verdict.why
    assert find_exit_code([*verdicts.values()]) == 2


def test_t6_a_broken_endpoint_names_its_path(healthy: Healthy) -> None:
    hangs = healthy.serve(fault=fault_server.SILENT)
    verdict = judge_all(healthy.target(server=f"https://127.0.0.1:{hangs.port}", timeout_seconds=3.0), "api")["api"]
    assert (verdict.word, verdict.disagree) == (Word.CRITICAL, True)
    assert "forward of this machine" in verdict.why
    assert verdict.next_step == "kinky why dev-control-plane-0 --stack dev"


def test_t7_agents_inside_are_dead_and_users_are_served(healthy: Healthy) -> None:
    healthy.host.objects[f"{VMIS}/dev-control-plane-0"]["status"]["conditions"] = []
    verdicts = judge_all(healthy.target(), "api")
    assert (verdicts["api"].word, verdicts["api"].disagree) == (Word.DEGRADED, True)
    assert find_exit_code([*verdicts.values()]) == 1
    assert find_exit_code([*verdicts.values()], strict=True) == 2


def test_t8_a_prober_that_is_cut_off_knows_nothing(healthy: Healthy) -> None:
    healthy.host.down = healthy.inner.down = True
    gone = healthy.serve(fault=fault_server.RESET)

    def open_port(_node: str, _port: int) -> Never:
        raise UnavailableError("host cluster: cannot list pods: no route to host")

    target = healthy.target(server=f"https://127.0.0.1:{gone.port}", open_port=open_port)
    verdicts = judge_all(target)
    assert {verdict.word for name, verdict in verdicts.items() if name != "self"} == {Word.UNKNOWN}
    assert find_exit_code([*verdicts.values()]) == 3
    assert "may be cut off" in verdicts["api"].why


def test_t10_a_cluster_that_was_made_again_is_not_the_one_declared(healthy: Healthy) -> None:
    verdict = judge_all(healthy.target(known_uid="another"), "api")["api"]
    assert (verdict.word, verdict.outside.reason) == (Word.CRITICAL, "not-this-cluster")
    assert "not the cluster declared" in verdict.why


def test_t12_the_store_calls_itself_valid_and_its_token_has_expired(healthy: Healthy) -> None:
    healthy.store.fault = HostError("the store's token has expired at 2026-01-01T00:00:00Z")
    verdict = judge_all(healthy.target(), "store")["store"]
    assert (verdict.word, verdict.disagree) == (Word.CRITICAL, True)
    assert "token has expired" in verdict.why


def test_t13_a_value_inside_that_is_older_than_the_store_s_is_critical(healthy: Healthy) -> None:
    healthy.store.values["canary"] = {"nonce": b"newer"}
    verdict = judge_all(healthy.target(), "store")["store"]
    assert verdict.word is Word.CRITICAL and "not the store's" in verdict.why


def test_t14_a_node_whose_pod_network_is_cut_is_named(healthy: Healthy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    verdict = judge_all(healthy.target(timeout_seconds=3.0), "scheduling")["scheduling"]
    assert verdict.word is Word.CRITICAL and "a new pod on dev-worker-0 answers: not met" in verdict.why
    pods = [path for path in healthy.inner.objects if "/kinky-system/pods/" in path]
    assert not pods, "the canary is removed"


def test_t15_a_node_that_registered_with_another_address(healthy: Healthy) -> None:
    add_node(healthy, "dev-worker-0", "10.0.2.2")
    verdict = judge_all(healthy.target(), "nodes")["nodes"]
    assert verdict.word is Word.CRITICAL
    assert "dev-worker-0 reports InternalIP 10.0.2.2, declared is 10.96.0.3" in verdict.why


def test_t17_a_clock_that_is_off_is_critical_and_certificates_are_not_misjudged(healthy: Healthy) -> None:
    healthy.inner.clock_ahead = timedelta(seconds=-10)
    verdicts = judge_all(healthy.target(), "clock", "certificates")
    assert verdicts["clock"].word is Word.CRITICAL and "inner API is +10.5 s off ours" in verdicts["clock"].why
    assert verdicts["certificates"].word is Word.OK


def test_t17_two_clocks_that_agree_blame_this_machine(healthy: Healthy) -> None:
    healthy.inner.clock_ahead = healthy.host.clock_ahead = timedelta(seconds=10)
    verdict = judge_all(healthy.target(), "clock")["clock"]
    assert "this machine's clock is" in verdict.why and verdict.word is Word.CRITICAL


def test_t18_a_silent_server_delays_no_other_probe(healthy: Healthy) -> None:
    hangs = healthy.serve(fault=fault_server.SILENT)
    seen = judge_all(healthy.target(server=f"https://127.0.0.1:{hangs.port}", timeout_seconds=3.0))
    assert seen["api"].outside.reason == "silent"
    assert (seen["api"].outside.latency_ms or 0) < 4000
    assert {name for name, verdict in seen.items() if verdict.word is not Word.OK} == {"api"}


def test_t22_a_canary_that_a_crash_has_left_is_removed(healthy: Healthy) -> None:
    labels = {"kinky.dev/status": "write", "app.kubernetes.io/managed-by": "kinky"}
    made = {"creationTimestamp": "2026-01-01T00:00:00Z"}
    healthy.inner.add(CANARIES, "kinky-status-left", metadata={"labels": labels, **made})
    verdict = judge_all(healthy.target(), "write")["write"]
    assert verdict.word is Word.OK and "removed 1 left over" in verdict.outside.detail
    assert not [path for path in healthy.inner.objects if "kinky-status" in path]


def test_t22_a_full_quota_is_the_reason(healthy: Healthy) -> None:
    told = {"reason": "Forbidden", "message": 'configmaps "x" is forbidden: exceeded quota: small'}
    healthy.inner.answers[("POST", CANARIES)] = lambda _sent: Reply(403, json.dumps(told).encode())
    verdict = judge_all(healthy.target(), "write")["write"]
    assert (verdict.word, verdict.outside.reason) == (Word.CRITICAL, "quota")


def test_a_missing_right_is_unknown_with_the_verb(healthy: Healthy) -> None:
    told = {"reason": "Forbidden", "message": 'User "me" cannot list resource "nodes"'}
    healthy.inner.answer("GET", "/api/v1/nodes", told, status=403)
    verdicts = judge_all(healthy.target(), "gate")
    assert verdicts["gate"].word is Word.UNKNOWN
    assert "cannot list" in verdicts["gate"].why and verdicts["gate"].next_step == "ask for this right"


def test_a_probe_that_raises_something_else_tells_no_text_of_it(
    healthy: Healthy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(_target: object) -> list[object]:
        raise RuntimeError("a-secret")

    gate = replace(probes.PROBES["gate"], look=explode)  # type: ignore[arg-type]
    monkeypatch.setattr(probes, "PROBES", {**probes.PROBES, "gate": gate})
    verdict = judge_all(healthy.target(), "gate")["gate"]
    assert verdict.word is Word.UNKNOWN and "RuntimeError" in verdict.why and "a-secret" not in verdict.why


def test_each_of_three_api_servers_is_asked_by_itself(tmp_path: Path) -> None:
    with serve_healthy(tmp_path, planes=3) as healthy:
        healthy.ports[("dev-control-plane-1", 6443)] = healthy.serve(fault=fault_server.SILENT).port
        verdict = judge_all(healthy.target(), "api")["api"]
    assert verdict.word is Word.DEGRADED and "dev-control-plane-1" in verdict.why
    asked = {each.target for each in verdict.observations if each.side is Side.INSIDE}
    assert {f"dev-control-plane-{index}" for index in range(3)} <= asked


@pytest.mark.parametrize(("dead", "word"), [(1, Word.DEGRADED), (2, Word.CRITICAL)])
def test_t16_etcd_members_that_are_down(tmp_path: Path, dead: int, word: Word) -> None:
    with serve_healthy(tmp_path, planes=3) as healthy:
        for index in range(dead):
            healthy.ports[(f"dev-control-plane-{index}", 2379)] = healthy.serve(fault=fault_server.RESET).port
        verdict = judge_all(healthy.target(), "etcd")["etcd"]
    assert verdict.word is word
    assert f"{3 - dead} of 3 members answer" in verdict.why


def test_a_vm_that_is_stopped_is_critical(healthy: Healthy) -> None:
    healthy.host.objects[VMIS.replace("instances", "s") + "/dev-worker-0"]["status"] = {"printableStatus": "Stopped"}
    verdict = judge_all(healthy.target(), "host")["host"]
    assert verdict.word is Word.CRITICAL and verdict.next_step == "kinky why dev-worker-0 --stack dev"


def test_the_canary_s_process_is_dead_while_the_api_is_fine(healthy: Healthy) -> None:
    healthy.ports[("", 30080)] = healthy.serve(fault=fault_server.RESET).port
    slices = next(path for path in healthy.inner.objects if "endpointslices" in path)
    healthy.inner.objects[slices]["endpoints"] = [{"conditions": {"ready": False}}]
    verdicts = judge_all(healthy.target(), "service", "api")
    assert verdicts["service"].word is Word.CRITICAL and not verdicts["service"].disagree
    assert verdicts["api"].word is Word.OK
    assert verdicts["service"].inside is not None and verdicts["service"].inside.state is State.BAD
