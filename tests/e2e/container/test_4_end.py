"""The end of the story: no secret is on any disk after all that its nodes went through, and destroy leaves nothing."""

from __future__ import annotations

import pytest

from kinky.scan.secret import KnownSecret
from tests.e2e import leaks
from tests.e2e.person import Person

pytestmark = pytest.mark.host


def test_pulumi_has_nothing_to_change_after_all_deaths(finished: Person) -> None:
    finished.kinky("preview", "--stack", finished.stack.stack, "--expect-no-changes", limit_seconds=300)


def test_s23_no_secret_is_on_a_disk_after_both_nodes_were_replaced(finished: Person) -> None:
    leaks.check_scan(finished)


def test_destroy_writes_no_secret_and_leaves_nothing_on_the_host(
    finished: Person, first_secrets: list[KnownSecret]
) -> None:
    leaks.check_destroy(finished, first_secrets, finished.scratch / "destroy.log")
    assert finished.left_on_host() == set()
