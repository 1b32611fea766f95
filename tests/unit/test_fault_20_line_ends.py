"""A checkout by a git that writes CRLF: what is run or rendered keeps its line feeds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kinky import paths
from tests.checkout import copy_checkout

ROOT = paths.project_root()
RUN = ("setup/launcher", "setup/go", "setup/debian-packages", ".ci/run", "Makefile")
RENDERED = ("templates/parts", "node-image/files", "kinky", "stacks", "toolchain")


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module", params=["core.autocrlf=true", "core.eol=crlf"])
def checkout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clone this checkout's files with a setting that makes git write CRLF."""
    base = tmp_path_factory.mktemp("line-ends")
    copy_checkout(base / "origin")
    git(base / "origin", "init", "-q")
    git(base / "origin", "add", "-A")
    git(base / "origin", "commit", "-qm", "all")
    git(base, "clone", "-q", "-c", request.param, str(base / "origin"), str(base / "clone"))
    return base / "clone"


def test_fault_20_no_file_has_carriage_returns(checkout: Path) -> None:
    files = [path for path in checkout.rglob("*") if path.is_file() and ".git" not in path.relative_to(checkout).parts]
    assert len(files) > 500
    assert [str(path.relative_to(checkout)) for path in files if b"\r\n" in path.read_bytes()] == []


@pytest.mark.parametrize("name", RUN)
def test_fault_20_what_is_run_can_be_run(checkout: Path, name: str) -> None:
    path = checkout / name
    if name == "Makefile":
        done = subprocess.run(["make", "-C", str(checkout), "help"], capture_output=True, text=True)
        assert "\r" not in done.stdout
        assert done.returncode == 0
        return
    first = path.read_bytes().split(b"\n")[0].removeprefix(b"#!")
    assert Path(first.decode()).exists()
    subprocess.run(["bash", "-n", str(path)], check=True)


@pytest.mark.parametrize("folder", RENDERED)
def test_fault_20_what_is_rendered_is_byte_for_byte_the_original(checkout: Path, folder: str) -> None:
    originals = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert originals
    for path in originals:
        assert (checkout / path.relative_to(ROOT)).read_bytes() == path.read_bytes(), path
