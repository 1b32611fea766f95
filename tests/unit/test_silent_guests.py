"""Guests that say nothing: which are replaced, when, and how often."""

from kinky import names
from kinky.forming import checks
from kinky.forming.silent_guests import REPLACEMENTS, SILENT_SHARE
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.retry import Pending
from tests.unit.fake_api import FakeClock, FakeConnection
from tests.unit.fake_reach import FakeReach

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
VMIS = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstances"
PODS = "/api/v1/namespaces/ns/pods"
NODES = "/api/v1/nodes"
LIMIT = 900
SILENT_SECONDS = SILENT_SHARE * LIMIT


def boot(host: FakeConnection, node: str, *, console: str, serial: int = 0, logged: bool = True) -> None:
    """Have a VM instance run whose console shows this."""
    pod = f"virt-launcher-{node}-{serial}"
    labels = {"kinky.dev/node": node, "kubevirt.io": "virt-launcher"}
    containers = [{"name": "guest-console-log"}] if logged else []
    created = f"2026-01-01T00:00:{serial:02}Z"
    host.add(VMIS, node, metadata={"labels": names.cluster_labels("dev")})
    host.add(
        PODS,
        pod,
        metadata={"labels": labels, "creationTimestamp": created},
        spec={"containers": containers},
        status={"phase": "Running"},
    )
    host.answer("GET", f"{PODS}/{pod}/log", console)


def is_running(host: FakeConnection, node: str) -> bool:
    return f"{VMIS}/{node}" in host.objects


def test_a_silent_guest_is_replaced_after_its_time(host: FakeConnection, clock: FakeClock) -> None:
    check = checks.StageCheck(HostApi.connect(ACCESS), ["a"], limit_seconds=LIMIT, clock=clock)
    boot(host, "a", console="")
    assert check() == Pending("guests: booting")
    clock.now = SILENT_SECONDS - 1
    assert check() == Pending("guests: booting")
    assert is_running(host, "a")
    clock.now = SILENT_SECONDS
    assert check() == Pending("guests: booting")
    assert not is_running(host, "a")


def test_the_successor_gets_the_whole_time_again_and_there_is_an_end(host: FakeConnection, clock: FakeClock) -> None:
    check = checks.StageCheck(HostApi.connect(ACCESS), ["a"], limit_seconds=LIMIT, clock=clock)
    for serial in range(REPLACEMENTS):
        boot(host, "a", console="", serial=serial)
        check()
        clock.now += SILENT_SECONDS - 1
        check()
        assert is_running(host, "a")
        clock.now += 1
        check()
        assert not is_running(host, "a")
    boot(host, "a", console="", serial=REPLACEMENTS)
    check()
    clock.now += 10 * SILENT_SECONDS
    assert check() == Pending("guests: booting")
    assert is_running(host, "a")


def test_a_guest_that_has_said_anything_is_left_alone(host: FakeConnection, clock: FakeClock) -> None:
    check = checks.StageCheck(HostApi.connect(ACCESS), ["a", "b"], limit_seconds=LIMIT, clock=clock)
    boot(host, "a", console="Kernel panic - not syncing\n")
    boot(host, "b", console="kinky: stage certs 30\n")
    for _ in range(3):
        check()
        clock.now += SILENT_SECONDS
    assert is_running(host, "a")
    assert is_running(host, "b")


def test_a_guest_without_a_logged_console_is_asked_blindly(host: FakeConnection, clock: FakeClock) -> None:
    check = checks.StageCheck(HostApi.connect(ACCESS), ["a"], limit_seconds=LIMIT, clock=clock)
    boot(host, "a", console="", logged=False)
    assert isinstance(check(), Pending)
    clock.now = checks.UNLOGGED_SHARE * LIMIT
    assert check() == "the console is not logged"
    assert is_running(host, "a")


def test_a_silent_worker_is_replaced_while_its_node_is_missing(host: FakeConnection, clock: FakeClock) -> None:
    check = checks.NodesCheck(FakeReach(ACCESS, FakeConnection()), {"w": "10.0.0.2"}, limit_seconds=LIMIT, clock=clock)
    boot(host, "w", console="")
    assert check.check_registered() == Pending("not registered: w")
    clock.now = SILENT_SECONDS
    check.check_registered()
    assert not is_running(host, "w")
