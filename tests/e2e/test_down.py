"""`make down`: the machine is as it was before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.machine import machine_lists
from tests.e2e.person import STACK, meet

pytestmark = pytest.mark.host


def test_down_leaves_the_machine_as_it_was(
    embedded_host: None, lists_before: dict[str, set[str]], tmp_path: Path
) -> None:
    meet(STACK, tmp_path).make("down", limit_seconds=900)
    after = machine_lists()
    left = {kind: after[kind] - before for kind, before in lists_before.items()}
    assert not any(left.values()), left
