"""Each of these files has a stack of container guests of its own, so two files run at a time (`make e2e`).

None may look at what the whole machine shows, or change what all stacks share.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.person import Person, borrow

STACK = "local-admin"
"""Git knows no stack file whose name begins so."""


@pytest.fixture(scope="session")
def admin(embedded_host: None, worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The admin of the host, whose stack is never made; each process of the tests has a file of its own."""
    stack = f"{STACK}-{worker_id}"
    with borrow(stack, base="dev", scratch=tmp_path_factory.mktemp(stack), changes={}) as someone:
        yield someone
