"""Fixtures of several unit tests: time that passes only when somebody sleeps, and two APIs that answer from memory."""

from pathlib import Path

import pytest

from tests.unit.fake_api import FakeClock, FakeConnection


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("time.monotonic", made)
    monkeypatch.setattr("time.sleep", made.sleep)
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    return made


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeConnection:
    connection = FakeConnection()
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: connection)
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "state"))
    return connection


@pytest.fixture
def inner(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    connection = FakeConnection(target='inner cluster "dev"')
    monkeypatch.setattr("kinky.kube.inner.open_inner", lambda _access: connection)
    return connection
