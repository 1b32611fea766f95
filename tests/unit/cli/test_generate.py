"""The generated files are what the model and the rights say now."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinky import paths
from kinky.cli import generate

FILES = generate.build_files()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    assert path.read_text() == FILES[path], f"{path.name} is stale: kinky generate"


def test_a_page_has_the_rights() -> None:
    rights = FILES[paths.project_root() / "docs" / "rights.md"]
    assert "\n| the namespace | `virtualmachines.kubevirt.io` | get, list, create, patch, delete | always |\n" in rights
    assert "\n| the whole host | `nodes` | list | `access.mode` is `nodePort`: which addresses" in rights
