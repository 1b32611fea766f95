"""Somebody else's tests are killed at five moments, and the host alone takes their clusters away: `make soak`.

Each run is killed with all that it has started, and its files go too, as if its machine had burned. So no process of
ours lives while its lease ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.killed import MOMENTS, kill_run, left, marked, wait_gone
from tests.e2e.person import Person, borrow

pytestmark = pytest.mark.soak

STACK = "local-killed"
"""Git knows no stack file of this name, and nobody makes its cluster."""
TTL, TTL_SECONDS = "5m", 300.0
AFTERWARDS_SECONDS = 120.0
"""What the host may take to remove everything."""


@pytest.fixture(scope="module")
def admin(embedded_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The admin of the host."""
    with borrow(STACK, base="dev", scratch=tmp_path_factory.mktemp(STACK), changes={}) as someone:
        yield someone


def test_runs_that_are_killed_at_five_moments_leave_nothing_on_the_host(admin: Person, tmp_path: Path) -> None:
    assert left(admin) == set(), "left by another run"
    killed = {name: kill_run(admin, tmp_path / name, name, ttl=TTL) for name in MOMENTS}
    assert len({cluster for cluster, _ in killed.values()}) == len(MOMENTS)
    assert not marked(), "no process of ours is alive"
    for name, (cluster, moment) in killed.items():
        remaining = moment + TTL_SECONDS + AFTERWARDS_SECONDS - time.monotonic()
        wait_gone(admin, cluster, f"the end of {cluster}, killed {name}", limit_seconds=remaining)
    wait_gone(admin, "", "an empty namespace", limit_seconds=AFTERWARDS_SECONDS)
    assert not marked()
