"""A host where everything fits."""

from pathlib import Path

import pytest

from tests.unit.fake_api import FakeConnection
from tests.unit.fitting_host import build_host


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeConnection:
    return build_host(monkeypatch, tmp_path)
