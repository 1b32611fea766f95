"""S2: each kind of artefact has a plant, which is found where it lies and by the collector of that kind alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinky import paths
from kinky.cli.scan import scan_sources
from kinky.embedded.layout import default_layout
from kinky.kube import resources
from kinky.scan import disks
from kinky.scan.kind import Kind
from kinky.scan.secret import KnownSecret, SecretClass
from kinky.scan.source import Source
from tests.unit.scan import plants
from tests.unit.scan.machine import CONTROL_PLANE, WORKER, Machine, make_machine, write

PLANT = b"a planted value of the store"
KNOWN = KnownSecret(SecretClass.STORE_VALUE, "dev-store-planted/value", PLANT)
SPREAD = {Kind.STAGED: {Kind.WORK_TREE, Kind.GIT_OBJECT}, Kind.GIT_OBJECT: set[Kind]()}
"""What else a plant is in: git keeps what is staged as an object, and takes it from the work tree."""


def put(path: Callable[[Machine], Path]) -> Callable[[Machine], None]:
    return lambda machine: write(path(machine), b"before " + PLANT + b" behind")


def append(path: Callable[[Machine], Path]) -> Callable[[Machine], None]:
    """Put the plant behind what the disk must hold."""
    return lambda machine: write(path(machine), path(machine).read_bytes() + bytes(5000) + PLANT)


def put_object(resource: resources.Resource) -> Callable[[Machine], None]:
    def plant(machine: Machine) -> None:
        machine.connection.add(resource.build_path("kinky-dev"), "thing", note=PLANT.decode())

    return plant


def put_path(name: str) -> Callable[[Machine], None]:
    def plant(machine: Machine) -> None:
        write(machine.root.parent / name, PLANT)
        machine.extra.append(machine.root.parent / name)

    return plant


def put_log(machine: Machine) -> None:
    machine.log = b"[ 1.0] " + PLANT + b"\n"


def stage(machine: Machine) -> None:
    write(machine.root / "staged.txt", PLANT)
    plants.git(machine.root, "add", "staged.txt")


def commit_and_remove(machine: Machine) -> None:
    stage(machine)
    plants.git(machine.root, "commit", "-qm", "second", "--no-verify")
    plants.git(machine.root, "rm", "-q", "staged.txt")
    plants.git(machine.root, "commit", "-qm", "third", "--no-verify")


PUT: dict[Kind, Callable[[Machine], None]] = {
    Kind.STATE: put(lambda _: paths.pulumi_backend_dir() / ".pulumi" / "history" / "dev.json.bak"),
    Kind.PULUMI_HOME: put(lambda _: paths.pulumi_home() / "plugins" / "pulumi.log"),
    Kind.PULUMI_OUTPUT: lambda machine: machine.print_by_pulumi(b"  + value: " + PLANT + b"\nResources:\n"),
    Kind.PASSPHRASE_FILE: put(lambda _: paths.passphrase_file()),
    Kind.CLUSTER_FOLDER: put(lambda _: paths.stack_dir("dev") / "forward.log"),
    Kind.REPORT: put(lambda _: paths.reports_dir() / "20260101T000000-1-1.txt"),
    Kind.EMBEDDED_HOST: put(lambda _: default_layout().logs / "kubelet.log"),
    Kind.PROCESS: put(lambda machine: machine.root.parent / "proc" / "12" / "cmdline"),
    Kind.WORK_TREE: put(lambda machine: machine.root / "new.txt"),
    Kind.GIT_OBJECT: commit_and_remove,
    Kind.STAGED: stage,
    Kind.PATH: put_path("up.log"),
    Kind.DISK_IMAGE: put_path("backup.qcow2"),
    Kind.VM_DISK: append(lambda machine: machine.disk(WORKER, disks.DATA)),
    Kind.CREDENTIALS_DISK: append(lambda machine: machine.disk(CONTROL_PLANE, disks.CREDENTIALS)),
    Kind.INNER_ETCD: append(lambda machine: machine.etcd),
    Kind.POD_LOG: put_log,
    Kind.VIRTUAL_MACHINE: put_object(resources.VIRTUAL_MACHINES),
    Kind.VIRTUAL_MACHINE_INSTANCE: put_object(resources.VIRTUAL_MACHINE_INSTANCES),
    Kind.POD: put_object(resources.PODS),
    Kind.EVENT: put_object(resources.EVENTS),
    Kind.CONFIG_MAP: put_object(resources.CONFIG_MAPS),
    Kind.SERVICE: put_object(resources.SERVICES),
    Kind.PERSISTENT_VOLUME_CLAIM: put_object(resources.PVCS),
    Kind.SECRET: put_object(resources.SECRETS),
}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return make_machine(tmp_path, monkeypatch)


def find_kinds(sources: list[Source]) -> set[Kind]:
    """Return the kinds of artefact in which the plant is reported."""
    report = scan_sources(sources, [KNOWN])
    return {artefact.kind for artefact, secret in (*report.unexpected, *report.expected) if secret == KNOWN}


def test_s2_each_kind_has_a_plant() -> None:
    assert set(PUT) == set(Kind)


def test_s2_each_kind_has_a_collector_and_each_collector_keeps_to_its_kinds(machine: Machine) -> None:
    put_path("up.log")(machine)
    collected = [(source, {artefact.kind for artefact in source.artefacts}) for source in machine.sources()]
    assert {kind for source, _ in collected for kind in source.kinds} == set(Kind)
    assert all(kinds <= source.kinds for source, kinds in collected)


def test_s2_without_a_plant_nothing_is_found(machine: Machine) -> None:
    assert find_kinds(machine.sources()) == set()


@pytest.mark.parametrize("kind", Kind)
def test_s2_a_plant_is_found_by_the_collector_of_its_kind(kind: Kind, machine: Machine) -> None:
    PUT[kind](machine)
    assert find_kinds(machine.sources()) == {kind} | SPREAD.get(kind, set())
    without = [source for source in machine.sources() if kind not in source.kinds]
    assert kind not in find_kinds(without)


def test_the_copy_of_a_running_provider_is_its_own_and_one_that_stayed_behind_is_found(machine: Machine) -> None:
    """An `up` of another stack may run beside the scan; the copy ends with its provider."""
    with subprocess.Popen(["pulumi-resource-kubernetes"], executable="cat", stdin=subprocess.PIPE) as provider:
        file = paths.pulumi_home() / "tmp" / "resource-kubernetes" / str(provider.pid) / "kubeconfig1"
        write(file, PLANT)
        assert not machine.scan([KNOWN]).unexpected
        assert provider.stdin is not None
        provider.stdin.close()
        provider.wait()
        assert {artefact.kind for artefact, _ in machine.scan([KNOWN]).unexpected} == {Kind.PULUMI_HOME}
