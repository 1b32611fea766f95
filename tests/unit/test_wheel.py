"""The wheel, installed into a virtual environment of its own and used from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("wheel")


def run(*command: str | Path, cwd: Path) -> str:
    # A variable that shows the checkout to every Python would hide what the wheel lacks.
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel beside the packages of this environment; return the folder with its programs."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    # The packages, without the .pth file that shows the checkout: Python reads none in a folder that is named so.
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    (packages / "packages.pth").write_text(sysconfig.get_path("purelib"))
    return python.parent


def test_it_is_the_wheel_that_is_imported(programs: Path, tmp_path: Path) -> None:
    printed = run(programs / "python", "-c", "import kinky; print(kinky.__file__)", cwd=tmp_path)
    assert printed.startswith(str(programs.parent))


def test_the_command_finds_its_data(programs: Path, tmp_path: Path) -> None:
    assert run(programs / "kinky", "--version", cwd=tmp_path) == run(ROOT / ".venv/bin/kinky", "--version", cwd=ROOT)
    assert "pulumi" in run(programs / "kinky", "tools", "--json", cwd=tmp_path)


def test_keys_of_tools_are_those_of_the_checkout(programs: Path, tmp_path: Path) -> None:
    """Else an installed KinKy would build for an hour what is there."""
    script = (
        "from kinky.releases import list_releases\nfrom kinky.toolchain.tools import load_tools\n"
        "print([(n, t.key) for r in list_releases() for n, t in sorted(load_tools(r).items())])"
    )
    assert run(programs / "python", "-c", script, cwd=tmp_path) == run(sys.executable, "-c", script, cwd=ROOT)


def test_a_program_of_ones_own_is_written_and_read(programs: Path, tmp_path: Path) -> None:
    run(programs / "kinky", "init", "--stack", "shop", "mine", cwd=tmp_path)
    script = (
        "from kinky import InnerCluster, describe_stack, prepare\n"
        "from kinky.stacks.file import read_stack_file\nprint(read_stack_file('shop').path)"
    )
    printed = run(programs / "python", "-c", script, cwd=tmp_path / "mine")
    assert printed.strip() == str(tmp_path / "mine" / "stacks" / "Pulumi.shop.yaml")


def test_pytest_finds_the_plugin(programs: Path, tmp_path: Path) -> None:
    printed = run(programs / "python", "-m", "pytest", "--help", cwd=tmp_path)
    assert "--kinky-stack" in printed


def test_clusters_of_tests_do_not_use_the_project_of_the_repository_around_them(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "Pulumi.yaml").write_text("name: theirs")
    script = (
        "from kinky.testing.project import use_own_project\nuse_own_project()\n"
        "from kinky import paths\nprint(paths.project_root(), *sorted(p.name for p in paths.project_root().iterdir()))"
    )
    printed = run(programs / "python", "-c", script, cwd=tmp_path / "theirs").split()
    assert printed == [str(tmp_path / "state" / "testing"), "Pulumi.yaml", "__main__.py", "stacks"]
