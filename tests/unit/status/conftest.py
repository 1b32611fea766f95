"""A healthy cluster for each test, and a DNS server that answers as it must."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.status.healthy import Healthy, answer_dns, serve_healthy


@pytest.fixture
def healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Healthy]:
    """One control plane and one worker, with nothing wrong."""
    answer_dns(monkeypatch)
    with serve_healthy(tmp_path) as made:
        yield made
