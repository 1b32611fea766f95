"""A clock of this machine that is not the host's: told before anything is touched, and nothing is signed by it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from kinky.errors import HostError
from kinky.keys import clock, material, node_credentials
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.reach import break_glass, credential
from kinky.reach.reach import Reach
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context="lab", namespace="ns", cluster="dev")
HINT = "hint: set the clock that is wrong: timedatectl set-ntp true"
SIGNERS: dict[str, Callable[[], object]] = {
    "kubectl's credential": lambda: credential.fetch_exec_credential(Reach(ACCESS).host, "dev"),
    "every look at the inner API": lambda: Reach(ACCESS, "https://x").inner(),
    "a worker's certificates": lambda: node_credentials.ensure_node_credentials(
        HostApi.connect(ACCESS), "dev", "dev-w-0", "10.1.0.9"
    ),
    "break-glass": lambda: break_glass.make_break_glass(HostApi.connect(ACCESS), "dev", {}, hours=1, reason="a test"),
}


@pytest.mark.parametrize("signer", SIGNERS)
@pytest.mark.parametrize(("minutes", "told"), [(10, "10 min ahead of"), (-10, "10 min behind")])
def test_nothing_is_signed_by_a_wrong_clock(host: FakeConnection, signer: str, minutes: int, told: str) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    host.clock_ahead = timedelta(minutes=minutes)
    before = dict(host.objects)
    with pytest.raises(HostError) as caught:
        SIGNERS[signer]()
    assert str(caught.value) == (
        f"host cluster: the clock of this machine is {told} the host's, at most 5 min are allowed\n{HINT}"
    )
    assert host.objects == before


@pytest.mark.parametrize("seconds", [-300, -30, 0, 30, 300])
def test_clocks_that_differ_by_less_than_five_minutes_are_no_fault(host: FakeConnection, seconds: int) -> None:
    host.clock_ahead = timedelta(seconds=seconds)
    assert clock.describe_difference(HostApi.connect(ACCESS)) is None
