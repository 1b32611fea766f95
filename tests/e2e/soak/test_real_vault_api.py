"""Our own server of Vault's API, of which the tests make most use, beside a real one; no cluster is needed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kinky import paths, process
from tests import vault_real
from tests.unit.vault.conftest import ANOTHER

pytestmark = pytest.mark.soak


def test_our_own_server_answers_as_this_one() -> None:
    """The tests of the API, which our server passes in `make test`, asked of this one."""
    modules = sorted((paths.project_root() / "tests/unit/vault").glob("test_api*.py"))
    asked: list[str | Path] = [sys.executable, "-m", "pytest", "-q", *modules]
    said = process.run(
        asked, reason="test", env={ANOTHER: str(vault_real.build())}, cwd=paths.project_root(), timeout_seconds=600
    )
    assert " passed" in said and "skipped" not in said
