"""After all that its nodes went through, no secret of the stack is where it may not be."""

from __future__ import annotations

import pytest

from tests.e2e import leaks
from tests.e2e.person import Person

pytestmark = pytest.mark.host


def test_pulumi_has_nothing_to_change_after_all_deaths(finished: Person) -> None:
    finished.kinky("preview", "--stack", finished.stack.stack, "--expect-no-changes", limit_seconds=300)


def test_s23_no_secret_is_where_it_may_not_be_after_both_nodes_were_replaced(finished: Person) -> None:
    """Nor in what a real refresh and each killed `up` have printed."""
    leaks.check_scan(finished, *sorted(finished.scratch.glob("*.log")))
