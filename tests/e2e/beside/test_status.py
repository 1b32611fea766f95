"""Status, why and report on a real cluster: healthy, then with one fault after the other, each named and each cured."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kinky import names, paths
from kinky.reach.forward import PID_FILE
from tests import browser
from tests.e2e import guests
from tests.e2e.person import Person, wait_for

pytestmark = pytest.mark.host

STACK = "local-status"
"""Git knows no stack file of this name."""
CHOICES: dict[str, Any] = {}
CURED_SECONDS = 120.0
UNKNOWN_SECONDS = 150.0
"""The controller-manager notices a kubelet that is away after 50 s."""
PATIENT_SECONDS = 60.0
"""Far more than `kinky status` may take, as other tests run on this machine."""
BINDING = "validatingadmissionpolicybinding/kinky-gate"


def look(owner: Person, *options: str) -> dict[str, Any]:
    """Return what `kinky status --json` says; its exit code stands in it."""
    found: dict[str, Any] = json.loads(owner.ask("status", "--json", *options))
    return found


def words(body: dict[str, Any]) -> dict[str, str]:
    """Return the verdict of each capability."""
    return {verdict["capability"]: verdict["verdict"] for verdict in body["verdicts"]}


def sentence(owner: Person, node: str) -> str:
    """Return the sentence of `kinky why` about a node."""
    return str(json.loads(owner.ask("why", node, "--json"))[0]["sentence"])


def wait_sentence(owner: Person, node: str, part: str, *, limit_seconds: float = CURED_SECONDS) -> None:
    """Wait until `kinky why` says this of a node."""
    wait_for(f"why {node}: {part}", lambda: part in sentence(owner, node), limit_seconds=limit_seconds)


def wait_ok(owner: Person) -> None:
    """Wait until all is OK again."""
    wait_for("status 0", lambda: look(owner)["exit_code"] == 0, limit_seconds=CURED_SECONDS)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process while the block runs: its port still accepts, and nothing answers."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_healthy_cluster_is_ok(owner: Person) -> None:
    owner.up()
    wait_ok(owner)
    started = time.monotonic()
    body = look(owner)
    assert time.monotonic() - started < PATIENT_SECONDS
    assert {*words(body).values()} == {"OK"}
    assert {"api", "write", "service", "nodes", "dns", "etcd", "certificates", "store", "gate"} <= words(body).keys()
    assert sentence(owner, owner.worker).endswith("is Ready and takes pods")


def test_a_pod_starts_on_each_worker_and_a_new_value_arrives(owner: Person) -> None:
    body = look(owner, "--deep", "--capability", "scheduling", "--capability", "store")
    assert words(body) == {"scheduling": "OK", "store": "OK", "host": "OK", "self": "OK"}


def test_a_forward_that_hangs_is_a_disagreement_while_all_inside_is_ready(owner: Person) -> None:
    pid = int((paths.stack_dir(STACK) / PID_FILE).read_text())
    with frozen(pid):
        body = look(owner, "--capability", "api", "--timeout", "2")
    verdict = next(each for each in body["verdicts"] if each["capability"] == "api")
    assert (verdict["verdict"], verdict["disagree"], body["exit_code"]) == ("CRITICAL", True, 2)
    assert "forward of this machine" in verdict["why"]
    wait_ok(owner)


def test_a_workload_that_is_dead_is_never_ok_while_the_api_is_fine(owner: Person, tmp_path: Path) -> None:
    scale = ("scale", "deployment/web", "--namespace", names.NAMESPACE_WORKLOAD)
    owner.kubectl(*scale, "--replicas=0")
    wait_for("service CRITICAL", lambda: words(look(owner))["service"] == "CRITICAL", limit_seconds=CURED_SECONDS)
    assert words(look(owner, "--capability", "api"))["api"] == "OK"
    page = tmp_path / "critical.html"
    owner.ask("report", str(page))
    owner.kubectl(*scale, "--replicas=1")
    if browser.CHROMIUM:
        assert "service: CRITICAL" in browser.show(page, tmp_path / "critical.png")
    wait_ok(owner)


def test_a_gate_without_its_binding_is_named_and_its_next_step_helps(owner: Person) -> None:
    owner.kubectl("delete", BINDING)
    wait_sentence(owner, owner.worker, "the gate has a hole")
    assert words(look(owner, "--capability", "gate"))["gate"] == "CRITICAL"
    owner.open_gate()
    assert sentence(owner, owner.worker).endswith("takes pods")


def test_credentials_that_are_deleted_are_named(owner: Person) -> None:
    selected = ("--selector", f"{names.LABEL_NODE}={owner.worker}", "--output", "name")
    secret = next(name for name in owner.host("get", "secrets", *selected).split() if "-credentials-" in name)
    body = json.loads(owner.host("get", secret, "--output", "json"))
    kept = {"name": body["metadata"]["name"], "labels": body["metadata"]["labels"]}
    file = owner.scratch / "credentials.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({**body, "metadata": kept}))
    owner.host("delete", secret)
    try:
        assert "was deleted from the host" in sentence(owner, owner.worker)
    finally:
        owner.host("create", "--filename", str(file))
        file.unlink()
    assert sentence(owner, owner.worker).endswith("takes pods")


def test_a_kubelet_that_is_stopped_then_a_quota_that_is_full(owner: Person) -> None:
    node = owner.worker
    boot = owner.boot_id(node)
    guests.run(owner, node, "systemctl stop kubelet.service")
    wait_sentence(owner, node, f"the kubelet of {node} does not run", limit_seconds=UNKNOWN_SECONDS)
    assert words(look(owner))["nodes"] == "CRITICAL"
    # Its next step is a new instance, which a quota now refuses.
    owner.host("create", "quota", "full", "--hard", "pods=1")
    owner.host("delete", "virtualmachineinstance", node, "--wait=false")
    wait_sentence(owner, node, "because ResourceQuota full is full")
    owner.host("delete", "quota", "full")
    owner.wait_booted(node, boot)
    wait_ok(owner)


def test_the_report_is_one_page_with_all_of_it(owner: Person, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    owner.ask("report", str(page))
    text = page.read_text()
    for part in ("<svg", owner.worker, "Certificates by their end", "G1", "instance of"):
        assert part in text
    assert "<script" not in text


def test_the_end_leaves_nothing(owner: Person) -> None:
    owner.destroy()
    assert owner.left_on_host() == set()
    assert look(owner)["exit_code"] in (2, 3)
