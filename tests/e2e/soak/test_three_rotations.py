"""Every key of three control planes is rotated though that is killed in each round: `make soak`.

`beside/test_rotations.py` does the same with one control plane, at each landing.
"""

from __future__ import annotations

import pytest

from tests.e2e import gate
from tests.e2e.person import THREE_PLANES, Person
from tests.e2e.rotation import check_encryption_key, check_rotation

pytestmark = pytest.mark.soak

STACK = "local-three-rotations"
"""Git knows no stack file of this name."""
CHOICES = THREE_PLANES


@pytest.fixture(scope="module")
def owner(owner: Person) -> Person:
    """The same with a finished stack."""
    owner.up()
    return owner


def test_what_restarts_no_control_plane_is_rotated(owner: Person) -> None:
    check_rotation(owner, "store-credential")
    check_rotation(owner, "worker-certificates")
    gate.wait_works(owner)


def test_the_encryption_key_is_rotated_though_it_is_killed_in_each_round(owner: Person) -> None:
    check_encryption_key(owner)


def test_the_service_account_key_is_rotated_though_it_is_killed(owner: Person) -> None:
    check_rotation(owner, "service-account-key", "--drop-now")
    owner.open_gate()


def test_the_cas_are_rotated_though_it_is_killed_in_each_round(owner: Person) -> None:
    check_rotation(owner, "ca")
    gate.wait_works(owner)


def test_pulumi_has_nothing_to_change_afterwards_and_the_end_leaves_nothing(owner: Person) -> None:
    owner.kinky("preview", "--stack", STACK, "--expect-no-changes", limit_seconds=300)
    owner.destroy()
    assert owner.left_on_host() == set()
