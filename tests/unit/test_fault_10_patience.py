"""Patience with a host that is slow: it follows the scaled limit, and tells the host's own words."""

import pytest

from kinky.errors import HostError
from kinky.forming import requirements, vm_states
from kinky.forming.requirements import Requirement, run_requirements
from kinky.progress import phase
from tests.unit.fake_api import FakeClock, FakeConnection
from tests.unit.vm_looks import build_check, wait

API = "/apis/kubevirt.io/v1/namespaces/ns"
CORE = "/api/v1/namespaces/ns"
LABELS = {"kinky.dev/cluster": "dev", "app.kubernetes.io/managed-by": "kinky"}
SCHEDULER = "0/3 nodes are available: 3 Insufficient memory."


def set_vm(host: FakeConnection, state: str, **status: object) -> None:
    host.add(f"{API}/virtualmachines", "a", metadata={"labels": LABELS}, status={"printableStatus": state, **status})


def add_launcher(host: FakeConnection, **status: object) -> None:
    labels = {"kinky.dev/node": "a", "kubevirt.io": "virt-launcher"}
    host.add(f"{CORE}/pods", "virt-launcher-a-1", metadata={"labels": labels}, status=status)


def unschedulable(host: FakeConnection) -> None:
    set_vm(host, "ErrorUnschedulable")
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": SCHEDULER}
    add_launcher(host, phase="Pending", conditions=[condition])


def test_fault_10_a_vm_without_a_node_waits_for_an_autoscaler(host: FakeConnection, clock: FakeClock) -> None:
    check = build_check(clock)
    unschedulable(host)
    assert SCHEDULER in wait(check, clock, 46), "told while it is waited for"
    wait(check, clock, 400)
    set_vm(host, "Running")
    assert check() == "1 running"


def test_fault_10_patience_follows_the_scaled_limit(host: FakeConnection, clock: FakeClock) -> None:
    unschedulable(host)
    wait(build_check(clock, scale=3), clock, 1700)
    slow, started = build_check(clock, scale=0.1), clock.now
    with pytest.raises(HostError):
        wait(slow, clock, 100)
    assert 50 < clock.now - started < 70


def test_fault_10_the_failure_tells_the_scheduler_s_words(host: FakeConnection, clock: FakeClock) -> None:
    unschedulable(host)
    event = {"type": "Normal", "reason": "NotTriggerScaleUp", "message": "max node group size reached"}
    host.add(f"{CORE}/events", "e", **event)
    entry = Requirement(description="VMs run", check=build_check(clock), hint="see")
    with phase("test") as running, pytest.raises(HostError) as caught:
        run_requirements("dev", [entry], limit_seconds=900, phase=running, explain=list, clock=clock)
    assert f"VM a: ErrorUnschedulable\n  scheduler: {SCHEDULER}\n" in str(caught.value)
    assert "NotTriggerScaleUp: max node group size reached" in str(caught.value)
    assert 590 < clock.now < 610


@pytest.mark.parametrize("state", ["WaitingForVolumeBinding", "ErrorUnschedulable"])
def test_fault_10_a_claim_that_is_not_bound_tells_its_own_events(
    host: FakeConnection, clock: FakeClock, state: str
) -> None:
    set_vm(host, state)
    words = "waiting for first consumer to be created before binding"
    host.add(f"{CORE}/events", "e", type="Normal", reason="WaitForFirstConsumer", message=words)
    assert words in wait(build_check(clock), clock, 100)
    assert any(path.endswith("/events") for _, path in host.calls)


def test_fault_10_an_image_that_cannot_be_pulled_tells_the_kubelet_s_words(
    host: FakeConnection, clock: FakeClock
) -> None:
    set_vm(host, "ErrImagePull")
    waiting = {"reason": "ErrImagePull", "message": "503 Service Unavailable"}
    add_launcher(
        host, phase="Pending", initContainerStatuses=[{"name": "volumeroot-init", "state": {"waiting": waiting}}]
    )
    assert "volumeroot-init: ErrImagePull 503 Service Unavailable" in wait(build_check(clock), clock, 100)


def test_fault_10_causes_are_not_read_at_each_look(host: FakeConnection, clock: FakeClock) -> None:
    unschedulable(host)
    wait(build_check(clock), clock, 60)
    assert sum(path.endswith("/pods") for _, path in host.calls) <= 5


def test_fault_10_all_early_ends_are_parts_of_the_limit() -> None:
    shares = [each.share for each in vm_states.STATES.values()]
    assert all(0 < share <= 1 for share in shares)
    assert requirements.LASTING_SHARE < vm_states.RETRY_SHARE < vm_states.NODE_SHARE < 1
