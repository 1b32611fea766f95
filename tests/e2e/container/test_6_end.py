"""The end of the story: destroy tells no secret, and leaves nothing."""

from __future__ import annotations

import pytest

from kinky.scan.secret import KnownSecret
from tests.e2e import leaks
from tests.e2e.person import Person

pytestmark = pytest.mark.host


def test_destroy_writes_no_secret_and_leaves_nothing_on_the_host(
    finished: Person, first_secrets: list[KnownSecret]
) -> None:
    leaks.check_destroy(finished, first_secrets, finished.scratch / "destroy.log")
    assert finished.left_on_host() == set()
