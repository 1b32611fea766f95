"""Waiting for a cluster: what counts as met, what ends the wait early, and what the error tells."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinky import retry
from kinky.errors import HostError, InterruptedWaitError, WaitError
from kinky.forming import checks, diagnose, requirements, tables, vm_states
from kinky.kube.access import HostAccess
from kinky.kube.connection import ApiError
from kinky.kube.host import HostApi
from kinky.progress import phase
from kinky.reach import exposure
from kinky.reach.reach import Reach
from kinky.retry import Pending
from tests.unit.fake_api import FakeClock, FakeConnection, answer_node
from tests.unit.fake_reach import FakeReach

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
VMS = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines"
VMIS = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstances"
PODS = "/api/v1/namespaces/ns/pods"
LIMIT = 900
LASTING = LIMIT * requirements.LASTING_SHARE
LABELS = {"kinky.dev/cluster": "dev", "app.kubernetes.io/managed-by": "kinky"}


def add_vm(host: FakeConnection, name: str, state: str, **status: Any) -> None:
    host.add(VMS, name, metadata={"labels": LABELS}, status={"printableStatus": state, **status})


def add_console(host: FakeConnection, node: str, text: str) -> None:
    pod = f"virt-launcher-{node}"
    labels = {"kinky.dev/node": node, "kubevirt.io": "virt-launcher"}
    host.add(PODS, pod, metadata={"labels": labels}, spec={"containers": [{"name": "guest-console-log"}]}, status={})
    host.answer("GET", f"{PODS}/{pod}/log", text)


def table(*found: Callable[[], str | Pending]) -> list[requirements.Requirement]:
    return [
        requirements.Requirement(description=f"thing {number}", check=check, hint="do this")
        for number, check in enumerate(found, 1)
    ]


def run(entries: list[requirements.Requirement], clock: FakeClock, limit: float = 10) -> dict[str, float]:
    with phase("test") as running:
        return requirements.run_requirements(
            "dev", entries, limit_seconds=limit, phase=running, explain=lambda: ["console: kaput"], clock=clock
        )


def test_requirements_are_met_in_order_with_their_times(clock: FakeClock) -> None:
    answers = iter([Pending("not yet"), "now"])
    assert run(table(lambda: "at once", lambda: next(answers)), clock) == {"thing 1": 0.0, "thing 2": 0.2}


def test_error_tells_number_last_seen_evidence_and_hint(clock: FakeClock) -> None:
    with pytest.raises(WaitError) as caught:
        run(table(lambda: "ok", lambda: Pending("still cold")), clock)
    assert str(caught.value) == (
        'inner cluster "dev": requirement 2 of 2 not met in 10 s: thing 2\n'
        "  last seen: still cold\n"
        "  console: kaput\n"
        "hint: do this"
    )
    assert clock.now < 12


def test_remarks_are_asked_for_only_while_something_is_awaited(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KINKY_PROGRESS")
    answers = iter([Pending("not yet"), "now"])
    remarks = iter([["a is slow: 40 s"]])
    entries = table(lambda: "at once", lambda: next(answers))
    with phase("test") as running:
        requirements.run_requirements(
            "dev", entries, limit_seconds=10, phase=running, explain=list, remark=lambda: next(remarks), clock=clock
        )
    assert capsys.readouterr().err.count("a is slow: 40 s\n") == 1


def test_an_interruption_is_told_as_one(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_INTERRUPTED", threading.Event())
    retry.interrupt_waits()
    with pytest.raises(InterruptedWaitError, match="interrupted while waiting"):
        run(table(lambda: Pending("still cold")), clock)


def test_an_api_that_does_not_answer_is_waited_for(clock: FakeClock) -> None:
    answers = iter([1, 0])

    def check() -> str:
        if next(answers):
            raise ApiError("inner cluster: cannot get /readyz: connection refused")
        return "ok"

    assert run(table(check), clock) == {"thing 1": 0.2}


def test_a_fatal_state_ends_the_wait_with_evidence(clock: FakeClock) -> None:
    def check() -> str:
        raise HostError("VM a: ErrImagePull", hint="push it")

    with pytest.raises(HostError) as caught:
        run(table(check), clock, limit=1000)
    assert "requirement 1 of 1 cannot be met: thing 1" in str(caught.value)
    assert "VM a: ErrImagePull\n  console: kaput\nhint: push it" in str(caught.value)
    assert clock.now == 0


def test_vms_running(host: FakeConnection, clock: FakeClock) -> None:
    check = checks.VmCheck(HostApi.connect(ACCESS), "dev", ["a", "b"], limit_seconds=LIMIT, clock=clock)
    add_vm(host, "a", "Starting")
    assert check() == Pending("VMs: a Starting, b absent")
    add_vm(host, "a", "Running")
    add_vm(host, "b", "Running")
    assert check() == "2 running"


@pytest.mark.parametrize("state", [name for name, each in vm_states.STATES.items() if each.trouble])
def test_a_bad_vm_state_is_fatal_only_when_it_lasts(host: FakeConnection, clock: FakeClock, state: str) -> None:
    check = checks.VmCheck(HostApi.connect(ACCESS), "dev", ["a"], limit_seconds=LIMIT, clock=clock)
    add_vm(host, "a", state)
    assert isinstance(check(), Pending)
    clock.now = LIMIT * vm_states.STATES[state].share - 1
    assert isinstance(check(), Pending)
    clock.now += 2
    with pytest.raises(HostError, match=f"VM a: {state}"):
        check()


def test_a_host_that_lacks_the_node_image_is_told_how_it_gets_it(host: FakeConnection, clock: FakeClock) -> None:
    check = checks.VmCheck(HostApi.connect(ACCESS), "dev", ["a"], limit_seconds=LIMIT, clock=clock)
    add_vm(host, "a", "ErrImagePull")
    check()
    clock.now = LIMIT * vm_states.RETRY_SHARE + 1
    with pytest.raises(HostError, match="hint: the host lacks the node image: kinky host up loads it"):
        check()


def test_grace_begins_anew_after_another_state(host: FakeConnection, clock: FakeClock) -> None:
    check = checks.VmCheck(HostApi.connect(ACCESS), "dev", ["a"], limit_seconds=LIMIT, clock=clock)
    for state in ("ErrorUnschedulable", "Running", "ErrorUnschedulable"):
        add_vm(host, "a", state)
        clock.now += LIMIT * vm_states.NODE_SHARE - 1
        check()


def test_condition_failure_is_told(host: FakeConnection, clock: FakeClock) -> None:
    check = checks.VmCheck(HostApi.connect(ACCESS), "dev", ["a"], limit_seconds=LIMIT, clock=clock)
    add_vm(host, "a", "Stopped", conditions=[{"type": "Failure", "status": "True", "message": "exceeded quota"}])
    check()
    clock.now += LIMIT * vm_states.RETRY_SHARE
    with pytest.raises(HostError, match="VM a: Stopped: exceeded quota"):
        check()


CONSOLE = (
    "[    1.2] EXT4-fs mounted\r\n"
    "\x1b[0;32mkinky: stage network 14.2\x1b[0m\r\n"
    "kinky: stage credentials 15.0\r\n"
    "kinky: FAILED stage etcd-disk: no disk virtio-kinky-etcd\r\n"
)


def test_stage_lines() -> None:
    stages = diagnose.parse_stages(CONSOLE)
    assert [(stage.name, stage.uptime_seconds, stage.failed) for stage in stages] == [
        ("network", 14.2, False),
        ("credentials", 15.0, False),
        ("etcd-disk", None, True),
    ]
    assert stages[-1].text == "no disk virtio-kinky-etcd"
    again = diagnose.parse_stages(CONSOLE.replace("FAILED ", "") + "kinky: stage network 13.0\n")
    assert [stage.name for stage in again][-1] == "network"


def test_stages_of_an_earlier_boot_are_dropped() -> None:
    console = "kinky: stage network 14.2\nkinky: stage done 90.0\nkinky: stage network 13.0\n"
    assert [stage.uptime_seconds for stage in diagnose.parse_stages(console)] == [13.0]


def test_guest_is_far_enough_when_its_kubelet_starts(host: FakeConnection, clock: FakeClock) -> None:
    check = checks.StageCheck(HostApi.connect(ACCESS), ["a"], limit_seconds=LIMIT, clock=clock)
    assert check() == Pending("guests: booting")
    for early in ("kernel", "user-data", "certs"):
        add_console(host, "a", f"kinky: stage {early} 30\n")
        assert check() == Pending(f"guests: a {early}")
    add_console(host, "a", "kinky: stage certs 30\nkinky: stage kubelet 33\n")
    assert check() == "a has reached kubelet"


def test_a_failed_stage_is_fatal_when_it_lasts(host: FakeConnection, clock: FakeClock) -> None:
    check = checks.StageCheck(HostApi.connect(ACCESS), ["a"], limit_seconds=LIMIT, clock=clock)
    add_console(host, "a", CONSOLE)
    assert isinstance(check(), Pending)
    clock.now = LASTING
    with pytest.raises(HostError, match="a: the guest failed in stage etcd-disk: no disk virtio-kinky-etcd"):
        check()


def test_nodes_ready(host: FakeConnection, clock: FakeClock) -> None:
    inner = FakeConnection()
    check = checks.NodesCheck(
        FakeReach(ACCESS, inner), {"a": "10.0.0.1", "b": "10.0.0.2"}, limit_seconds=LIMIT, clock=clock
    )
    answer_node(inner, "a", ready=True, address="10.0.0.1", labels={})
    assert check.check_registered() == Pending("not registered: b")
    answer_node(inner, "b", ready=False, address="10.0.0.2", labels={})
    assert check.check_registered() == "2 registered"
    assert check.check_ready() == Pending("b not Ready: no CNI")
    answer_node(inner, "b", ready=True, address="10.0.0.2", labels={})
    assert check.check_ready() == "2 Ready"


def test_a_node_under_another_address_is_refused(host: FakeConnection, clock: FakeClock) -> None:
    inner = FakeConnection()
    check = checks.NodesCheck(FakeReach(ACCESS, inner), {"a": "10.0.0.1"}, limit_seconds=LIMIT, clock=clock)
    answer_node(inner, "a", ready=True, address="10.0.2.2", labels={})
    check.check_registered()
    clock.now = LASTING
    with pytest.raises(HostError, match=r"InternalIP 10\.0\.2\.2, declared is 10\.0\.0\.1"):
        check.check_ready()


def test_whole_proof_from_vms_to_an_authenticated_200(
    host: FakeConnection, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kinky.keys import material

    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    add_vm(host, "dev-control-plane-0", "Running")
    add_console(host, "dev-control-plane-0", "kinky: stage kubelet 33\n")
    inner = FakeConnection(target='inner cluster "dev"')
    inner.answer("GET", "/readyz", "not yet", status=500)
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    inner.answer("POST", review, {"status": {"userInfo": {"username": "kinky:me"}}})
    inner.answer("GET", "/version", {"gitVersion": "v1.36.3"})
    inner.answer("GET", "/openapi/v2", {"swagger": "2.0"})
    inner.add("/api/v1/namespaces", "kube-system")
    monkeypatch.setattr("kinky.kube.inner.open_inner", lambda _access: inner)
    monkeypatch.setattr(tables, "ensure_published", lambda *_, **__: "https://127.0.0.1:16443")
    sleep = clock.sleep

    def becoming_ready(seconds: float) -> None:
        sleep(seconds)
        inner.answer("GET", "/readyz", "ok")

    monkeypatch.setattr("time.sleep", becoming_ready)
    record = tables.prove_outside(
        Reach(ACCESS, ""),
        ["dev-control-plane-0"],
        exposure.PublishSpec(mode="forward"),
        kinky_command="/venv/bin/kinky",
        limit_seconds=100,
    )
    assert (record.cluster_uid, record.kubernetes_version) == ("uid-kube-system", "v1.36.3")
    assert record.tls_seconds <= record.ready_seconds
    assert Path(record.kubeconfig).is_file()
    assert ("POST", review) in inner.calls


def test_diagnosis_tells_vm_events_and_console(host: FakeConnection) -> None:
    add_vm(host, "a", "Starting")
    host.add(VMIS, "a", status={"phase": "Scheduled"})
    add_console(host, "a", CONSOLE)
    event = {"type": "Warning", "reason": "FailedMount", "message": "no such secret", "lastTimestamp": "1"}
    host.add("/api/v1/namespaces/ns/events", "e", **event)
    assert diagnose.describe_nodes(HostApi.connect(ACCESS), ["a", "absent"]) == [
        "a: VM Starting, VMI Scheduled",
        "a: event FailedMount: no such secret",
        "a: console: kinky: stage network 14.2",
        "a: console: kinky: stage credentials 15.0",
        "a: console: kinky: FAILED stage etcd-disk: no disk virtio-kinky-etcd",
        "absent: there is no VM",
    ]


def test_diagnosis_of_a_silent_host_is_a_line(host: FakeConnection) -> None:
    host.down = True
    assert diagnose.describe_nodes(HostApi.connect(ACCESS), ["a"]) == [
        "a: not readable: host cluster: cannot get VirtualMachine a: connection refused"
    ]
