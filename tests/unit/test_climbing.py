"""The nodes of a wait: who is told to be slow or stuck, when, and what is kept after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kinky import names
from kinky.errors import WaitError
from kinky.forming import tables
from kinky.forming.boots import note_boots, read_boots
from kinky.forming.climbing import EVERY_SECONDS, Climbers
from kinky.keys.certificates import format_time
from kinky.kube.access import HostAccess
from kinky.kube.records import PodStatus
from tests.unit.climbs_of import climb
from tests.unit.fake_api import FakeClock, FakeConnection
from tests.unit.fake_reach import FakeReach

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev", host_uid="0a1b-host")
VMS = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines"
VMIS = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstances"
PODS = "/api/v1/namespaces/ns/pods"
NODE = "dev-worker-0"
ADDRESS = "10.0.0.1"
BOOT = ("kernel", "user-data", "credentials", "endpoint", "gate")
CONTAINER = {"name": "compute", "image": f"kinky.internal/{names.CONTAINER_LAUNCHER}:1"}


def ago(seconds: float) -> str:
    return format_time(datetime.now(UTC) - timedelta(seconds=seconds))


SPEC: dict[str, Any] = {"domain": {}}
"""Of the VM and of its instance alike."""


def add_boot(host: FakeConnection, *stages: str, seconds: float) -> None:
    """Add a node whose VM was made so long ago; each stage took a second."""
    labels = names.node_labels("dev", role=names.WORKER, pool="worker", node=NODE)
    made = {"creationTimestamp": ago(seconds), "labels": labels}
    host.add(VMS, NODE, metadata=made, spec={"template": {"spec": SPEC}})
    phases = [{"phase": phase, "phaseTransitionTimestamp": ago(seconds)} for phase in ("Scheduled", "Running")]
    status = {"phase": "Running", "phaseTransitionTimestamps": phases}
    host.add(VMIS, NODE, metadata=made, spec=SPEC, status=status)
    pod = "virt-launcher-1"
    host.add(
        PODS,
        pod,
        metadata={"labels": {**labels, "kubevirt.io": "virt-launcher"}},
        spec={"containers": [CONTAINER, {"name": "guest-console-log"}]},
        status={"conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": ago(seconds)}]},
    )
    lines = [f"kinky: stage {stage} {number}.0" for number, stage in enumerate(stages, 1)]
    host.answer("GET", f"{PODS}/{pod}/log", "\n".join(lines))


def add_node(inner: FakeConnection, *, seconds: float, ready: str = "True") -> None:
    condition: dict[str, Any] = {"type": "Ready", "status": ready, "lastTransitionTime": ago(seconds)}
    status = {"conditions": [condition], "addresses": [{"type": "InternalIP", "address": ADDRESS}]}
    inner.add("/api/v1/nodes", NODE, metadata={"creationTimestamp": ago(seconds)}, status=status)


@pytest.fixture
def known(host: FakeConnection) -> None:
    """A host that has shown a boot in which each rung took 10 s."""
    note_boots(ACCESS, [climb()])


def climbers(clock: FakeClock, inner: FakeConnection | None = None) -> Climbers:
    return Climbers(FakeReach(ACCESS, inner), [NODE], has_inner=inner is not None, clock=clock)


def test_a_node_is_told_when_it_becomes_slow_and_again_when_it_is_stuck(
    host: FakeConnection, clock: FakeClock, known: None
) -> None:
    wait = climbers(clock)
    add_boot(host, *BOOT[:2], seconds=32)
    assert wait.tell_changes() == [], "not before the first pause"
    clock.now += EVERY_SECONDS
    (line,) = wait.tell_changes()
    assert line.startswith(f"{NODE} is slow: 3") and line.endswith("to credentials; this host usually takes 10 s")
    asked = len(host.calls)
    assert wait.tell_changes() == [] and len(host.calls) == asked, "a look has its price"
    clock.now += EVERY_SECONDS
    assert wait.tell_changes() == [], "it was told already"
    assert wait.describe()[0].startswith(f"{NODE} is slow")
    add_boot(host, *BOOT[:2], seconds=112)
    clock.now += EVERY_SECONDS
    assert wait.tell_changes()[0].startswith(f"{NODE} is stuck: no progress to credentials for 11")
    add_boot(host, *BOOT[:3], seconds=4)
    clock.now += EVERY_SECONDS
    assert wait.tell_changes() == [] and wait.describe() == []


def test_on_a_host_without_boots_nothing_is_asked(host: FakeConnection, clock: FakeClock) -> None:
    wait = climbers(clock)
    add_boot(host, "kernel", seconds=3000)
    clock.now += EVERY_SECONDS
    assert wait.tell_changes() == [] and wait.describe() == [] and host.calls == []


def test_a_host_that_is_away_ends_no_wait(host: FakeConnection, clock: FakeClock, known: None) -> None:
    host.down = True
    clock.now += EVERY_SECONDS
    assert climbers(clock).describe() == []
    climbers(clock).note_boots()
    assert len(read_boots(ACCESS)) == 1


def test_boots_that_went_well_are_noted_by_their_accelerator(host: FakeConnection, clock: FakeClock) -> None:
    inner = FakeConnection()
    add_boot(host, *BOOT, seconds=60)
    add_node(inner, seconds=50)
    climbers(clock, inner).note_boots()
    (boot,) = read_boots(ACCESS)
    assert (boot.boot, boot.role, boot.accelerator) == (f"uid-{NODE}", "worker", "container")
    assert boot.seconds["guest kernel"] == boot.seconds["gate"] == 1.0
    assert 4.0 <= boot.seconds["registered"] <= 15.0 and boot.seconds["Ready"] == 0.0


def test_a_node_that_is_registered_and_not_ready_is_told(host: FakeConnection, clock: FakeClock, known: None) -> None:
    inner = FakeConnection()
    add_boot(host, *BOOT, seconds=60)
    add_node(inner, seconds=50, ready="False")
    assert climbers(clock, inner).describe()[0].startswith(f"{NODE} is slow: 5")
    add_node(inner, seconds=50)
    assert climbers(clock, inner).describe() == []


def test_the_wait_for_ready_nodes_keeps_their_boots(host: FakeConnection, clock: FakeClock) -> None:
    inner = FakeConnection()
    add_boot(host, *BOOT, seconds=60)
    add_node(inner, seconds=50)
    tables.prove_nodes_ready(FakeReach(ACCESS, inner), {NODE: ADDRESS}, limit_seconds=10)
    assert [boot.boot for boot in read_boots(ACCESS)] == [f"uid-{NODE}"]


def test_a_wait_that_ends_without_success_says_who_is_stuck_and_keeps_nothing(
    host: FakeConnection, clock: FakeClock, known: None
) -> None:
    inner = FakeConnection()
    add_boot(host, *BOOT[:2], seconds=292)
    with pytest.raises(WaitError) as caught:
        tables.prove_nodes_ready(FakeReach(ACCESS, inner), {NODE: ADDRESS}, limit_seconds=10)
    assert caught.value.details[-1].startswith(f"{NODE} is stuck: no progress to credentials for 29")
    assert [boot.boot for boot in read_boots(ACCESS)] == ["u"]


@pytest.mark.parametrize(
    ("container", "accelerator"),
    [
        (CONTAINER, "container"),
        ({"name": "compute", "resources": {"limits": {"devices.kubevirt.io/kvm": "1"}}}, "kvm"),
        ({"name": "compute", "resources": {"limits": {"devices.kubevirt.io/tun": "1"}}}, "emulation"),
        ({"name": "compute"}, "emulation"),
    ],
)
def test_a_launcher_shows_how_its_guest_runs(container: dict[str, Any], accelerator: str) -> None:
    body = {"metadata": {"name": "p"}, "spec": {"containers": [container]}}
    assert PodStatus.parse(body).accelerator == accelerator
