"""Fixtures of the virtual machines: the person of stack dev, or of the one that `STACK` names."""

from __future__ import annotations

import pytest

from tests.e2e.person import STACK, Person, meet


@pytest.fixture(scope="session")
def person(embedded_host: None, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """The person of a stack as it is in the checkout."""
    return meet(STACK, tmp_path_factory.mktemp("vm"))
