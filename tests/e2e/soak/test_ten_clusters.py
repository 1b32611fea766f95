"""Ten clusters made and destroyed in a row leave nothing of themselves on a host that stays: `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinky.embedded import cgroups
from kinky.embedded.layout import default_layout
from tests.e2e.machine import machine_lists
from tests.e2e.person import borrow, wait_for

pytestmark = pytest.mark.soak

STACK = "local-soak"
"""Git knows no stack file of this name."""
CLUSTERS = 10
GROWTH_MIB = 300
"""The host's own programs keep more for a while after the first cluster; a leak of one in ten would be more."""


def test_ten_clusters_leave_nothing(embedded_host: None, tmp_path: Path) -> None:
    group = default_layout().cgroup
    with borrow(STACK, base="dev", scratch=tmp_path, changes={}) as person:
        # The first one starts what stays, such as the controller of claims.
        person.up()
        person.destroy()
        before, memory = machine_lists(), cgroups.memory_mib(group)
        for _ in range(CLUSTERS):
            person.up()
            person.destroy()

        def is_clean() -> bool:
            after = machine_lists()
            return not any(after[kind] - before[kind] for kind in before)

        wait_for("a machine as before", is_clean, limit_seconds=120)
    assert memory is not None and (cgroups.memory_mib(group) or 0) < memory + GROWTH_MIB
