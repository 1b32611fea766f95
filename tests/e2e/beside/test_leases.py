"""A cluster with a lease: everything of it on the host has the lease as its owner, and goes with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kinky import names, paths, process
from kinky.errors import CommandError
from tests.e2e.killed import kill_run, left, wait_gone
from tests.e2e.person import ALWAYS_THERE, KINDS, KINKY, UP_SECONDS, Person, wait_for
from tests.e2e.projects import NAMESPACE, build_command, write_project

pytestmark = pytest.mark.host

STACK = "local-leases"
"""Git knows no stack file of this name."""
CHOICES = {
    "kinky:cluster": {"name": STACK, "ephemeral": True, "lease": {"ttl": "1h", "holder": "e2e"}},
    "kinky:workload": {"enabled": False},
}
DERIVED = ("VirtualMachineInstance", "Pod")
"""Kinds that KubeVirt makes: their owners are the VMs."""
PROJECT = """
import base64

def test_the_cluster_is_the_runs_own(inner_cluster):
    assert len(inner_cluster.kubectl("get", "nodes", "--output", "name").split()) == len(inner_cluster.nodes) == 2
    inner_cluster.kubectl("create", "configmap", "mine")
    inner_cluster.wait_ready()
    assert inner_cluster.client().configuration.host.startswith("https://127.0.0.1:")
    assert inner_cluster.status()["exit_code"] in (0, 1)

def test_fails(inner_cluster):
    assert False

def test_fails_with_a_secret_in_the_open(inner_cluster):
    get = ("get", "secret", "host-store-token", "--namespace", "kinky-system", "--output", "jsonpath={.data.token}")
    token = base64.b64decode(inner_cluster.kubectl(*get)).decode()
    inner_cluster.kubectl("run", "leaky", "--image", "none.invalid/none", "--env", f"TOKEN={token}")
    assert False
"""
GONE_SECONDS = 120.0
"""The lease's own promise: its time, and two minutes."""


def test_each_object_on_the_host_has_the_lease_as_its_owner(owner: Person) -> None:
    owner.kinky("up", "--stack", STACK, "--ttl", "20m", limit_seconds=UP_SECONDS)
    (lease,) = read_leases(owner)
    assert (lease["cluster"], lease["holder"], lease["ttlSeconds"]) == (STACK, "e2e", 1200)
    found = json.loads(owner.host("get", KINDS, "--output", "json"))["items"]
    own = [each for each in found if f"{each['kind'].lower()}/{each['metadata']['name']}" not in ALWAYS_THERE]
    assert len(own) > 10
    for each in own:
        owners = {reference["name"] for reference in each["metadata"].get("ownerReferences") or ()}
        name = f"{each['kind']} {each['metadata']['name']}"
        assert (names.lease(STACK) in owners) != (each["kind"] in DERIVED), name
    assert "Pod" in {each["kind"] for each in own}
    assert not owner.host("get", "pods", "--selector", f"job-name={names.lease(STACK)}", "--output", "name")


def test_a_preview_has_nothing_to_change(owner: Person) -> None:
    owner.kinky("preview", "--stack", STACK, "--expect-no-changes", limit_seconds=300)


def test_a_value_of_a_person_belongs_to_the_lease_too(owner: Person) -> None:
    command = f"echo value | {KINKY} secrets set mine --stack {STACK}"
    process.run(["sh", "-c", command], reason="test", timeout_seconds=60)
    asked = (
        "get",
        "secret",
        names.store_secret(STACK, "mine"),
        "--output",
        "jsonpath={.metadata.ownerReferences[*].name}",
    )
    assert owner.host(*asked) == names.lease(STACK)


def test_a_lease_is_renewed_by_hand_and_by_who_holds_it(owner: Person) -> None:
    owner.kinky("lease", "renew", "--stack", STACK, "--ttl", "5m")
    assert 200 < seconds_left(owner) <= 301
    owner.kinky("lease", "hold", "--stack", STACK, "--", "true")
    assert 250 < seconds_left(owner) <= 301
    with pytest.raises(CommandError, match="must be a time from 5m to 7d"):
        owner.kinky("lease", "renew", "--stack", STACK, "--ttl", "soon")


def test_after_the_end_of_its_time_the_host_removes_it_by_itself(owner: Person) -> None:
    job = names.lease(STACK)
    # As if its time had passed: nobody of ours does anything else.
    owner.host("patch", "job", job, "--type", "merge", "--patch", '{"spec": {"activeDeadlineSeconds": 1}}')
    wait_for("an empty namespace", lambda: not owner.left_on_host(), limit_seconds=GONE_SECONDS)
    assert not owner.host("get", "jobs", "--output", "name")
    with pytest.raises(CommandError, match="its lease has ended"):
        owner.kinky("gate", "show", "--stack", STACK)


def test_destroy_finds_nothing_and_says_so(owner: Person) -> None:
    owner.kinky("destroy", "--stack", STACK)
    assert "its lease has ended, and nothing of its cluster is left" in (owner.scratch / "kinky.log").read_text()
    assert not (paths.stack_dir(STACK) / "kubeconfig.yaml").exists()
    assert "does not exist: nothing to destroy" in destroy_again(owner)


def test_a_project_of_somebody_else_gets_a_cluster_and_nothing_is_left(owner: Person, tmp_path: Path) -> None:
    write_project(tmp_path, PROJECT)
    log = owner.scratch / "project.log"
    with pytest.raises(CommandError):
        process.run(
            [*build_command(ttl="20m"), "--kinky-artifacts", "kept"],
            reason="test",
            cwd=tmp_path,
            env={"PYTHONPATH": str(paths.project_root())},
            timeout_seconds=600,
            log=log,
        )
    printed = log.read_text()
    assert "2 failed, 1 passed" in printed
    check_bundles(printed, tmp_path / "kept")
    assert not list((paths.project_root() / "stacks").glob("Pulumi.t-*.yaml"))
    left = ("get", f"jobs,{KINDS}", "--namespace", NAMESPACE, "--output", "name")
    assert set(owner.host(*left).split()) <= ALWAYS_THERE


def check_bundles(printed: str, kept: Path) -> None:
    """Make sure that the first failure has its bundle with all in it, and that the one with a secret was refused."""
    (bundle,) = kept.glob("t-*/bundle-*-test_fails")
    index = (bundle / "INDEX.md").read_text()
    assert "## Missing" not in index, index
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert {"why.txt", "status.json", "report.html", "added/kinky-up.log", "host/describe.txt"} <= files
    for folder in ("consoles", "rendered", "host/launchers", "inside/logs/kube-system"):
        assert any(file.startswith(f"{folder}/") for file in files), folder
    assert "would hold a secret; nothing of it is left" in printed
    assert "inside/describe.txt: " in printed
    assert not list(kept.glob("t-*/bundle-*-test_fails_with_a_secret*")), "also no unchecked one"
    assert not list(kept.glob("t-*/.bundle-*"))


def test_a_run_that_is_killed_in_a_test_is_removed_by_the_host_alone(owner: Person, tmp_path: Path) -> None:
    cluster, _ = kill_run(owner, tmp_path / "killed", "in a test", ttl="20m")
    assert left(owner, cluster)
    # As if its time had passed.
    deadline = '{"spec": {"activeDeadlineSeconds": 1}}'
    job = names.lease(cluster)
    owner.host("patch", "job", job, "--namespace", NAMESPACE, "--type", "merge", "--patch", deadline)
    wait_gone(owner, cluster, f"the end of {cluster}", limit_seconds=GONE_SECONDS)


def read_leases(owner: Person) -> list[dict[str, object]]:
    """Return what `kinky lease list` shows."""
    told: list[dict[str, object]] = json.loads(owner.ask("lease", "list", "--json"))
    return told


def seconds_left(owner: Person) -> float:
    """Return how long the lease lasts: up to a second more than the TTL, since a deadline has whole seconds."""
    (lease,) = read_leases(owner)
    return (datetime.fromisoformat(str(lease["endsAt"])) - datetime.now(UTC)).total_seconds()


def destroy_again(owner: Person) -> str:
    """Destroy once more, and return what is shown."""
    owner.kinky("destroy", "--stack", STACK)
    return (owner.scratch / "kinky.log").read_text()
