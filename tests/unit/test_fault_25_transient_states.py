"""States that the host leaves by itself are waited for; what KubeVirt repeats again and again is a failure."""

from pathlib import Path

import pytest

from kinky.errors import HostError
from kinky.forming import vm_states
from tests.unit.fake_api import FakeClock, FakeConnection
from tests.unit.fake_cluster import VMIS, VMS, start_cluster
from tests.unit.vm_looks import build_check, wait

LABELS = {"kinky.dev/cluster": "dev", "app.kubernetes.io/managed-by": "kinky"}
RETRY = "2026-01-01T00:05:00Z"
KUBEVIRT = (
    *("Stopped", "Provisioning", "Starting", "Running", "Paused", "Stopping", "Terminating", "CrashLoopBackOff"),
    *("Migrating", "Unknown", "ErrorUnschedulable", "ErrImagePull", "ImagePullBackOff", "ErrorPvcNotFound"),
    *("DataVolumeError", "WaitingForVolumeBinding", "WaitingForReceiver"),
)
"""VirtualMachinePrintableStatus in core/v1/types.go of kubevirt.io/api v1.7.0."""


def set_vm(host: FakeConnection, state: str, *, starts: int = 0, **status: object) -> None:
    failure = {"startFailure": {"consecutiveFailCount": starts, "retryAfterTimestamp": RETRY}} if starts else {}
    status = {"printableStatus": state, **failure, **status}
    host.add(VMS, "a", metadata={"labels": LABELS}, status=status)


def test_fault_25_a_pause_before_the_next_start_is_waited_for(host: FakeConnection, clock: FakeClock) -> None:
    check = build_check(clock)
    set_vm(host, "CrashLoopBackOff", starts=4)
    seen = wait(check, clock, 240)
    assert f"4 failed starts in a row, KubeVirt tries again after {RETRY}" in seen
    set_vm(host, "Starting", starts=4)
    wait(check, clock, 10)
    set_vm(host, "Running")
    assert check() == "1 running"


def test_fault_25_starts_that_fail_again_and_again_are_a_failure(host: FakeConnection, clock: FakeClock) -> None:
    check = build_check(clock)
    for starts in (1, 2, 3):
        set_vm(host, "CrashLoopBackOff", starts=starts)
        wait(check, clock, 20)
        set_vm(host, "Starting", starts=starts)
        wait(check, clock, 20)
    set_vm(host, "CrashLoopBackOff", starts=4)
    with pytest.raises(HostError, match=r"VM a: CrashLoopBackOff \(4 failed starts in a row"):
        check()


def test_fault_25_failed_starts_of_an_earlier_run_do_not_count(host: FakeConnection, clock: FakeClock) -> None:
    check = build_check(clock)
    set_vm(host, "CrashLoopBackOff", starts=7)
    wait(check, clock, 100)
    set_vm(host, "CrashLoopBackOff", starts=9)
    wait(check, clock, 100)


def test_fault_25_a_registry_that_hiccups_is_waited_for(host: FakeConnection, clock: FakeClock) -> None:
    check = build_check(clock)
    for state, seconds in (
        ("ErrImagePull", 4),
        ("ImagePullBackOff", 80),
        ("ErrImagePull", 4),
        ("ImagePullBackOff", 80),
    ):
        set_vm(host, state)
        wait(check, clock, seconds)
    set_vm(host, "Running")
    assert check() == "1 running"


def test_fault_25_an_image_that_is_never_there_is_a_failure_although_the_state_flips(
    host: FakeConnection, clock: FakeClock
) -> None:
    check = build_check(clock)
    with pytest.raises(HostError) as caught:
        for _ in range(50):
            for state in ("ErrImagePull", "ImagePullBackOff"):
                set_vm(host, state)
                wait(check, clock, 20)
    assert "push it to image.reference" in str(caught.value)
    assert clock.now < 300


@pytest.mark.parametrize("state", ["ErrorPvcNotFound", "DataVolumeError", "WaitingForVolumeBinding"])
def test_fault_25_a_volume_that_is_being_made_is_waited_for(host: FakeConnection, clock: FakeClock, state: str) -> None:
    check = build_check(clock)
    set_vm(host, state)
    wait(check, clock, 120)
    set_vm(host, "Running")
    assert check() == "1 running"


def test_fault_25_a_refusal_that_ends_by_itself_is_waited_for(host: FakeConnection, clock: FakeClock) -> None:
    check = build_check(clock)
    failure = {"type": "Failure", "status": "True", "message": "failed calling webhook: connection refused"}
    set_vm(host, "Stopped", conditions=[failure])
    assert "failed calling webhook" in wait(check, clock, 120)
    set_vm(host, "Running")
    assert check() == "1 running"


@pytest.mark.parametrize("state", ["Paused", "Terminating"])
def test_fault_25_a_state_that_only_a_person_ends_is_told_early(
    host: FakeConnection, clock: FakeClock, state: str
) -> None:
    check = build_check(clock)
    set_vm(host, state)
    with pytest.raises(HostError, match=f"VM a: {state}"):
        wait(check, clock, 60)


def test_fault_25_each_state_of_kubevirt_is_judged_with_a_reason() -> None:
    assert set(vm_states.STATES) == set(KUBEVIRT)
    for state in vm_states.STATES.values():
        assert state.reason
        held = state.course in (vm_states.Course.RETRIED, vm_states.Course.HELD)
        assert bool(state.trouble) is held


def test_fault_25_a_rotation_waits_for_kubevirt_s_pause(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An instance that was deleted at once again has failed: KubeVirt pauses for 60 s before it makes the next one."""
    cluster = start_cluster(monkeypatch, tmp_path)
    assert cluster.operator is not None
    operator, host = cluster.operator, cluster.host
    node, changed = "dev-control-plane-0", cluster.host.after
    until: list[float] = []

    def host_changed(method: str, path: str) -> None:
        changed(method, path)
        if (method, path) == ("DELETE", f"{VMIS}/{node}") and not until:
            start = {"consecutiveFailCount": 2, "retryAfterTimestamp": RETRY}
            host.objects[f"{VMS}/{node}"]["status"] = {"printableStatus": "CrashLoopBackOff", "startFailure": start}
            host.add(VMIS, node, metadata={"uid": "failed"}, status={"phase": "Failed"})
            until.append(operator.now + 60)

    def sleep(seconds: float) -> None:
        operator.sleep(seconds)
        if not until or operator.now >= until[0]:
            host.objects[f"{VMS}/{node}"]["status"] = {"printableStatus": "Running"}
            cluster.come_up()

    host.after = host_changed
    monkeypatch.setattr("time.sleep", sleep)
    assert cluster.rotate("encryption-key")
    assert until
    assert cluster.boots == [node] * 3
