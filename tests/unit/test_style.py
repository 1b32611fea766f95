"""The linters as tests: ruff and mypy with the settings of pyproject.toml, and the rules that they do not know."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kinky import paths

ROOT = paths.project_root()
MODULES = sorted(path for folder in ("kinky", "tests") for path in (ROOT / folder).rglob("*.py"))
MARKS = re.compile(
    "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error", r"\.apply\(lam" + "bda"))
)
PACKAGE_LISTS = (
    "setup/packages.txt",
    "embedded-host/packages.txt",
    "node-image/packages-build.txt",
    "tests/packages.txt",
)


@pytest.mark.parametrize(
    "arguments",
    [("ruff", "check", "--no-cache", "."), ("ruff", "format", "--no-cache", "--check", "."), ("mypy",)],
    ids=["ruff-check", "ruff-format", "mypy"],
)
def test_linter_is_content(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_unfinished_business() -> None:
    found = [f"{path.relative_to(ROOT)}: {match[0]}" for path in MODULES for match in MARKS.finditer(path.read_text())]
    assert found == []


@pytest.mark.parametrize("name", PACKAGE_LISTS)
def test_each_debian_package_says_what_it_is_for(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+\s+# \S.*", line)] == []


def test_make_help_tells_about_each_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):(?!=)", text, re.MULTILINE))
    explained = set(re.findall(r"^([a-z][a-z0-9-]*):.*## ", text, re.MULTILINE))
    assert targets - explained == {"packages"}


def test_documents_point_at_files_that_exist() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [(path, link) for path in documents for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())]
    assert [f"{path.name}: {link}" for path, link in links if not Path(path.parent, link).exists()] == []
