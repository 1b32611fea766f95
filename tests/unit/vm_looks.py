"""The check of the VMs as `up` repeats it, with a clock of the test."""

from kinky.forming import checks
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.retry import Pending
from tests.unit.fake_api import FakeClock

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")


def build_check(clock: FakeClock, *, scale: float = 1.0) -> checks.VmCheck:
    """Build the check of the VM `a` on the patched host."""
    return checks.VmCheck(HostApi.connect(ACCESS), "dev", ["a"], limit_seconds=900 * scale, clock=clock)


def wait(check: checks.VmCheck, clock: FakeClock, seconds: float) -> str:
    """Look every 2 s, and return what was seen last."""
    seen = ""
    end = clock.now + seconds
    while clock.now < end:
        found = check()
        assert isinstance(found, Pending)
        seen = found.seen
        clock.now += 2
    return seen
