"""A copy of this checkout, as a person has one who has made nothing in it yet."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from kinky import paths

LEFT_BEHIND: Final = (".git", ".venv", "__pycache__", ".*_cache", "latest.json", "dist")
"""Patterns of names: made on each machine, and no part of the project."""


def copy_checkout(target: Path) -> None:
    """Copy the files of this checkout, also those that git does not know yet."""
    shutil.copytree(paths.project_root(), target, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
