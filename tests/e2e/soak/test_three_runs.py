"""The example project in an empty virtual environment: twice, three times at once, in four processes: `make soak`."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kinky import paths
from kinky.toolchain import tools
from tests.e2e.person import ALWAYS_THERE, KINDS
from tests.e2e.projects import EXAMPLE, NAMESPACE, install, run

pytestmark = pytest.mark.soak

ONE_SECONDS, THREE_SECONDS = 600.0, 1800.0


@pytest.fixture(scope="module")
def programs(embedded_host: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a virtual environment that holds KinKy, from its wheel, and pytest."""
    return install(tmp_path_factory.mktemp("installed"))


def run_example(programs: Path, folder: Path, *options: str, limit_seconds: float) -> str:
    """Run the tests of a copy of the example, and return what they print."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    return run(programs / "python", "-m", "pytest", *options, cwd=folder, limit_seconds=limit_seconds)


def list_clusters(*folders: Path) -> set[str]:
    """Return the names of the clusters that the runs in these folders have had."""
    return {path.name for folder in folders for path in (folder / ".kinky").glob("t-*")}


def left(folder: Path) -> set[str]:
    """Return what the clusters of tests have left on the host."""
    kubectl = (tools.tool_path("kubectl"), "--kubeconfig", paths.host_kubeconfig(), "--namespace", NAMESPACE)
    found = run(*kubectl, "get", f"jobs,{KINDS}", "--output", "name", cwd=folder)
    return set(found.split()) - ALWAYS_THERE


def test_twice_in_a_row(programs: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert "2 passed" in run_example(programs, tmp_path / "example", limit_seconds=ONE_SECONDS)
        assert left(tmp_path) == set()


def test_three_times_at_once(programs: Path, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(3)]
    with ThreadPoolExecutor(len(folders)) as pool:
        told = [*pool.map(lambda folder: run_example(programs, folder, limit_seconds=THREE_SECONDS), folders)]
    assert all("2 passed" in each for each in told)
    assert len(list_clusters(*folders)) == len(folders), "each run has a cluster of its own"
    assert left(tmp_path) == set()


def test_four_processes_share_one_cluster(programs: Path, tmp_path: Path) -> None:
    run(programs / "pip", "install", "--quiet", "pytest-xdist", cwd=tmp_path, limit_seconds=ONE_SECONDS)
    assert "2 passed" in run_example(programs, tmp_path / "example", "-n", "4", limit_seconds=ONE_SECONDS)
    assert len(list_clusters(tmp_path / "example")) == 1
    assert left(tmp_path) == set()
