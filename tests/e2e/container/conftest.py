"""Fixtures of the container guests: one stack for the story of the numbered files, finished once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kinky.scan.secret import KnownSecret
from tests.e2e import gate, leaks
from tests.e2e.person import Person, borrow

STORY = "local-container"
"""Git knows no stack file of this name."""


@pytest.fixture(scope="session")
def person(embedded_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The person of the story's stack, which need not exist yet."""
    with borrow(STORY, base="dev", scratch=tmp_path_factory.mktemp(STORY), changes={}) as someone:
        yield someone


@pytest.fixture(scope="session")
def finished(person: Person) -> Person:
    """The same with a finished stack, also when this file is run alone."""
    if not gate.works(person):
        person.up()
    return person


@pytest.fixture(scope="session")
def first_secrets(finished: Person) -> list[KnownSecret]:
    """The secrets that it began with; some are replaced later."""
    return leaks.read_all(finished)
