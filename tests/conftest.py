"""What all tests share: no test but the end-to-end ones sees this machine's own state, cache or Pulumi settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

# A busy machine is slow, which is no failure.
settings.register_profile("kinky", deadline=None)
settings.load_profile("kinky")


@pytest.fixture(autouse=True)
def apart(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give each test empty state and cache folders of its own."""
    # These use the host that runs on this machine.
    if any(request.node.get_closest_marker(mark) for mark in ("host", "soak")):
        return
    folder: Path = tmp_path_factory.mktemp("apart")
    monkeypatch.setenv("KINKY_STATE_DIR", str(folder / "state"))
    monkeypatch.setenv("KINKY_CACHE_DIR", str(folder / "cache"))
    for name in [*os.environ]:
        if name.startswith(("PULUMI_", "VAULT_")) or name == "KUBECONFIG":
            monkeypatch.delenv(name)
