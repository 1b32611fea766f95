"""Ctrl-C in the middle of `up`: destroy cleans up what is half built."""

from __future__ import annotations

import pytest

from tests.e2e.person import Person

pytestmark = pytest.mark.host


def test_destroy_of_a_half_built_stack(person: Person) -> None:
    person.interrupt_up()
    person.destroy()
    assert person.left_on_host() == set()
