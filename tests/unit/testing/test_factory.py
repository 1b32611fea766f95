"""The clusters of a test run: made once, held, taken away; and what remains of runs that were killed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from kinky import names
from kinky.errors import CommandError, ConfigError, KinkyError
from kinky.stacks.file import read_stack_file, stack_path
from kinky.testing import stacks
from kinky.testing.run import Run
from tests.unit.testing.conftest import Machine


def test_a_run_makes_one_cluster_and_leaves_nothing(machine: Machine) -> None:
    run = machine.begin()
    cluster = run.shared()
    assert run.shared() is cluster
    assert machine.commands == ["up"]
    config = read_stack_file(cluster.name).config
    assert config.cluster.ephemeral and not config.workload.enabled
    assert config.cluster.lease is not None and config.cluster.lease.ttl == "10m"
    assert (config.host.namespace, config.host.create_namespace) == ("kinky-tests", False)
    assert f"/api/v1/namespaces/{cluster.namespace}" in machine.inner.objects
    assert cluster.kubeconfig.is_file()
    assert run.end(has_failed=False) == []
    assert machine.left() == []
    assert "/api/v1/namespaces/kinky-tests" in machine.host.objects, "it stays for all runs"


def test_more_clusters_have_other_names_and_settings(machine: Machine) -> None:
    run = machine.begin()
    shared, one = run.shared(), run(configuration={"workers": [{"pool": "big", "replicas": 2}]}, ttl="30m")
    two = run(configuration={"cluster": {"domain": "two.local"}})
    assert len({shared.name, one.name, two.name}) == 3
    assert one.nodes == [f"{one.name}-control-plane-0", f"{one.name}-big-0", f"{one.name}-big-1"]
    assert read_stack_file(two.name).config.cluster.domain == "two.local"
    ports = {read_stack_file(each.name).config.local_port for each in (shared, one, two)}
    assert len(ports) == 3 and ports <= set(stacks.PORTS)
    lives = {job["metadata"]["name"]: job["spec"]["activeDeadlineSeconds"] for job in machine.host.jobs()}
    assert lives[names.lease(one.name)] >= 1800 > lives[names.lease(two.name)]
    run.end(has_failed=False)
    assert machine.left() == []


def test_two_processes_of_a_run_share_its_cluster(machine: Machine) -> None:
    first = machine.begin()
    others = [machine.begin(Run(first._run.name)) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda each: each.shared(), [first, *others]))
    assert machine.commands == ["up"]
    assert len({cluster.name for cluster in made}) == 1
    assert len({one().name for one in others}) == 3, "a cluster for each on request"
    for other in others:
        other.release()
    first.end(has_failed=False)
    assert machine.left() == []


def test_two_runs_at_the_same_time_never_have_one_name(machine: Machine) -> None:
    runs = [machine.begin() for _ in range(20)]
    found = [run.shared().name for run in runs]
    assert len(set(found)) == 20
    assert not [pair for pair in pairwise(found) if names.are_rivals(*pair)]
    for run in runs:
        run.end(has_failed=False)
    assert machine.left() == []


@pytest.mark.parametrize("moment", ["before up", "in up", "in a test"])
def test_what_a_killed_run_has_left_goes_with_the_next_one(machine: Machine, moment: str) -> None:
    run = machine.begin()
    if moment == "before up":
        machine.run_kinky = lambda *_, **__: None  # type: ignore[method-assign]
        stacks.write_stack("t-00000000-0", {"cluster": {"name": "t-00000000-0", "lease": {"ttl": "10m"}}})
        stack_path("t-00000000-0").unlink()
    elif moment == "in up":
        machine.failing = "up"
        with pytest.raises(CommandError):
            run.shared()
        machine.failing = ""
    else:
        run.shared()
    machine.kill(run)
    following = machine.begin()
    assert [path for path in machine.left() if "t-" in path] == []
    following.end(has_failed=False)
    assert machine.left() == []


def test_a_run_that_lives_is_left_alone(machine: Machine) -> None:
    living = machine.begin()
    cluster = living.shared()
    machine.begin().end(has_failed=False)
    assert machine.host.left(cluster.name)
    assert stack_path(cluster.name).is_file()
    living.end(has_failed=False)


def test_a_host_that_does_not_answer_is_asked_again_by_a_later_run(machine: Machine) -> None:
    run = machine.begin()
    cluster = run.shared()
    machine.kill(run)
    machine.host.down = True
    machine.begin().end(has_failed=False)
    assert stack_path(cluster.name).is_file()
    machine.host.down = False
    machine.host.pass_time(601)
    machine.begin().end(has_failed=False)
    assert machine.left() == []


@pytest.mark.parametrize(
    ("keep", "has_failed", "stays"), [("failed", True, True), ("failed", False, False), ("always", False, True)]
)
def test_a_cluster_that_is_kept_stays_until_its_lease_ends(
    machine: Machine, keep: str, has_failed: bool, stays: bool
) -> None:
    run = machine.begin(keep=keep)
    cluster = run.shared()
    assert run.end(has_failed=has_failed) == []
    assert bool(machine.host.left(cluster.name)) == stays
    machine.begin().end(has_failed=False)
    assert bool(machine.host.left(cluster.name)) == stays
    machine.host.pass_time(601)
    machine.begin().end(has_failed=False)
    assert machine.left() == []


def test_a_cluster_that_is_used_again_gives_each_run_a_namespace(machine: Machine) -> None:
    one = machine.begin(reuse="mine")
    first = one.shared()
    one.end(has_failed=False)
    assert f"/api/v1/namespaces/{first.namespace}" not in machine.inner.objects
    two = machine.begin(reuse="mine")
    second = two.shared()
    assert (first.name, second.name) == ("t-mine", "t-mine")
    assert first.namespace != second.namespace
    assert machine.commands == ["up", "up"]
    machine.kill(two)
    machine.begin().end(has_failed=False)
    assert machine.host.left("t-mine"), "another run may use it"
    assert stack_path("t-mine").is_file()


def test_an_up_that_fails_is_told_to_each_process_and_leaves_nothing(machine: Machine) -> None:
    machine.failing = "up"
    run = machine.begin()
    other = machine.begin(Run(run._run.name))
    with pytest.raises(CommandError, match="the host does not fit"):
        run.shared()
    with pytest.raises(KinkyError, match="could not be made by another process") as told:
        other.shared()
    assert "kinky-up.log" in str(told.value)
    run.end(has_failed=True)
    assert machine.left() == []


def test_a_cluster_that_cannot_be_removed_is_reported_and_the_others_go(machine: Machine) -> None:
    run = machine.begin()
    run.shared(), run()
    machine.failing = "lease end"
    assert [str(error).splitlines()[0] for error in run.end(has_failed=False)] == ["lease end failed"] * 2
    machine.failing = ""
    machine.begin().end(has_failed=False)
    assert machine.left() == []


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        ({"workers": "three"}, "workers"),
        ({"secretsStore": {"kind": "vault", "vault": {"address": "https://v.example"}}}, "must not be vault"),
        ({"clutser": {}}, "clutser"),
    ],
)
def test_a_wrong_configuration_leaves_no_file(machine: Machine, configuration: dict[str, object], told: str) -> None:
    run = machine.begin()
    with pytest.raises(ConfigError, match=told):
        run(configuration=configuration)
    run.end(has_failed=True)
    assert machine.left() == []


def test_a_stack_file_of_somebody_elses_project(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    document = {
        "config": {
            "kinky:cluster": {"name": "ignored", "domain": "x.local"},
            "kinky:host": {"embedded": True, "accelerator": "container"},
            "other:key": 1,
        }
    }
    (folder / "tests.yaml").write_text(yaml.safe_dump(document))
    config = read_stack_file(machine.begin(stack_file=folder / "tests.yaml").shared().name).config
    assert (config.cluster.domain, config.host.namespace) == ("x.local", "kinky-tests-container")
    labels = machine.host.objects["/api/v1/namespaces/kinky-tests-container"]["metadata"]["labels"]
    assert labels[names.LABEL_ACCELERATOR] == "container"
    assert names.LABEL_CLUSTER not in labels


def test_a_relative_path_starts_at_the_stack_file(tmp_path: Path) -> None:
    file = tmp_path / "tests.yaml"
    file.write_text(
        "config:\n  kinky:host: {kubeconfig: host.yaml}\n  kinky:image: {reference: a.test/b:1, archive: a.tar}\n"
    )
    base = stacks.read_base(file)
    assert base["host"]["kubeconfig"] == str(tmp_path / "host.yaml")
    assert base["image"]["archive"] == str(tmp_path / "a.tar")
    with pytest.raises(ConfigError, match="cannot be read"):
        stacks.read_base(tmp_path / "absent.yaml")
    file.write_text("- 1\n")
    with pytest.raises(ConfigError, match="must be a mapping with the key config"):
        stacks.read_base(file)


def test_runs_that_begin_at_the_same_time_do_not_take_each_other_for_dead(machine: Machine) -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: machine.begin(), range(24)))
    assert all((run._run.folder / "alive").exists() for run in runs)
    for run in runs:
        run.end(has_failed=False)
    assert machine.left() == []


def test_numbers_are_taken_once(machine: Machine) -> None:
    run = Run.begin()
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: run.take_number(), range(40))) == list(range(40))
    run.end()
    assert threading.active_count() >= 1
