"""Each of these files has a stack of container guests of its own, so two files run at a time (`make e2e`).

None may look at what the whole machine shows, or change what all stacks share.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.person import Person, borrow

STACK = "local-admin"
"""Git knows no stack file of this name."""


@pytest.fixture(scope="session")
def admin(embedded_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The admin of the host, whose stack is never made."""
    with borrow(STACK, base="dev", scratch=tmp_path_factory.mktemp(STACK), changes={}) as someone:
        yield someone
