"""Which files of stacks/ are stacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinky.cli import stack_file


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder of stack files."""
    folder = tmp_path / "stacks"
    folder.mkdir()
    monkeypatch.setattr("kinky.paths.project_root", lambda: tmp_path)
    return folder


def test_a_stack_has_the_whole_name_of_its_file(stacks: Path) -> None:
    for name in ("Pulumi.dev.yaml", "Pulumi.eu.west.yaml", "schema.json"):
        (stacks / name).touch()
    assert stack_file.list_stacks() == ["dev", "eu.west"]
    assert all(stack_file.stack_path(name).is_file() for name in stack_file.list_stacks())
