"""Projects of somebody else that test on inner clusters: a small stack for them, and KinKy installed beside one."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from kinky import process
from tests.e2e.person import CONTAINER, ROOT

SMALL = {
    **CONTAINER,
    "kinky:controlPlane": {"memoryMib": 2560, "dataGib": 4},
    "kinky:workers": [{"pool": "worker", "memoryMib": 1536, "dataGib": 4}],
}
"""A small stack for the tests of a project."""
EXAMPLE = ROOT / "docs" / "examples" / "pytest"
NAMESPACE = "kinky-tests-container"
"""Where the clusters of tests are on the host, if their guests are containers."""
INSTALL_SECONDS = 600.0


def write_project(folder: Path, tests: str) -> None:
    """Write a project that takes KinKy from this checkout, with one module of tests and the small stack."""
    folder.mkdir(exist_ok=True)
    (folder / "conftest.py").write_text('pytest_plugins = ["kinky.testing.plugin"]\n')
    (folder / "test_project.py").write_text(tests)
    (folder / "small.yaml").write_text(yaml.safe_dump({"config": SMALL}))


def build_command(*, ttl: str) -> list[str]:
    """Return the command that runs the tests of such a project."""
    return [sys.executable, "-m", "pytest", "--kinky-stack", "small.yaml", "--kinky-ttl", ttl, "-p", "no:cacheprovider"]


def install(folder: Path) -> Path:
    """Install the wheel with all that it needs, and pytest, into an empty virtual environment; return its programs."""
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, cwd=ROOT)
    run(sys.executable, "-m", "venv", folder / ".venv", cwd=folder)
    (wheel,) = folder.glob("*.whl")
    run(folder / ".venv/bin/pip", "install", "--quiet", wheel, "pytest", cwd=folder, limit_seconds=INSTALL_SECONDS)
    return folder / ".venv" / "bin"


def run(*command: str | Path, cwd: Path, limit_seconds: float = 60.0) -> str:
    """Run a command of the project."""
    return process.run([*command], reason="test", cwd=cwd, timeout_seconds=limit_seconds)
