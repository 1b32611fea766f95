"""How the bench reads processes and Pulumi's events."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from kinky.bench.memory import read_processes, sum_by_role
from kinky.bench.phases import ENDS, PhaseClock
from kinky.cli.main import main

POD = "pod0a1b2c3d-0000-1111-2222-333344445555"
INNER_POD = "podeeeeeeee-0000-1111-2222-333344445555"
OTHER_POD = "podffffffff-0000-1111-2222-333344445555"


def write_process(proc: Path, pid: int, *, cgroup: str, command: str, pss_kib: int) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "cgroup").write_text(f"4:memory:{cgroup}\n0::/\n")
    (folder / "cmdline").write_bytes(command.replace(" ", "\0").encode())
    (folder / "smaps_rollup").write_text(f"Rss: 999999 kB\nPss:    {pss_kib} kB\nPss_Anon: 1 kB\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc with a host, one guest in a pod of two processes, a pod inside of it, another pod, and a stranger."""
    write_process(tmp_path, 1, cgroup="/kinky-ab/etcd", command="etcd", pss_kib=10240)
    launcher = "virt-launcher --name dev-worker-0 --uid 1 --namespace kinky-dev"
    write_process(tmp_path, 2, cgroup=f"/kinky-ab/kubepods/{POD}/c1", command=launcher, pss_kib=51200)
    # A container guest has pods of its own; a VM has its QEMU here.
    inside = f"/kinky-ab/kubepods/{POD}/c1/dev-worker-0/kubepods/{INNER_POD}/c2"
    write_process(tmp_path, 3, cgroup=inside, command="web --name dev-worker-0", pss_kib=204800)
    write_process(tmp_path, 4, cgroup=f"/kinky-ab/kubepods/{OTHER_POD}/c1", command="virt-api", pss_kib=20480)
    write_process(tmp_path, 5, cgroup="/user.slice", command="editor", pss_kib=999)
    (tmp_path / "self").mkdir()
    return tmp_path


def test_memory_is_told_by_role_and_for_the_host(proc: Path) -> None:
    found = read_processes("kinky-ab", proc=proc)
    assert len(found) == 4
    roles = {"dev-worker-0": "worker", "dev-control-plane-0": "control-plane"}
    assert sum_by_role(found, namespace="kinky-dev", roles=roles) == {"worker": 250.0, "host": 30.0}


def test_host_without_vms_is_everything(proc: Path) -> None:
    found = read_processes("kinky-ab", proc=proc)
    assert sum_by_role(found, namespace="kinky-dev", roles={}) == {"host": 280.0}


def outputs(kind: str) -> SimpleNamespace:
    return SimpleNamespace(res_outputs_event=SimpleNamespace(metadata=SimpleNamespace(type=kind)))


def test_phases_end_with_the_last_resource_of_their_type(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([3.04, 7.0, 90.0])
    monkeypatch.setattr("kinky.bench.phases.time.monotonic", lambda: next(seconds))
    clock = PhaseClock(started=0.0)
    clock.see(SimpleNamespace(res_outputs_event=None))
    clock.see(outputs("kubernetes:core/v1:Secret"))
    for kind in ("kubernetes:kubevirt.io/v1:VirtualMachine",) * 2 + ("pulumi-python:dynamic/kinky:OutsideReady",):
        clock.see(outputs(kind))
    assert clock.seconds == {"vmsCreated": 7.0, "apiOutside200": 90.0}


def test_phases_name_types_that_exist() -> None:
    """A renamed step would silently drop its phase."""
    from kinky.components.steps import LIVE_STEPS

    known = {each.__name__ for each in LIVE_STEPS}
    assert all(ending.removeprefix(":") in known for phase, ending in ENDS.items() if phase != "vmsCreated")


def test_a_stack_that_somebody_may_want_to_keep_is_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--stack", "prod"]) == 64
    assert capsys.readouterr().err == (
        'stack "prod": host.embedded is false, and a bench would destroy it; nothing was touched\n'
        "hint: measure a stack of the embedded host: kinky bench --stack dev\n"
    )
