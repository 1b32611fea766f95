"""Clusters for tests, one after the other: how soon a test has its cluster, how soon that is gone, and what is left."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from kinky import paths, process
from kinky.bench.counts import read_counts
from kinky.bench.samples import summarise
from kinky.errors import KinkyError
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.ownership.lease import wait_removed
from kinky.progress import phase
from kinky.retry import Pending, wait_until

STACK: Final[Mapping[str, Any]] = {
    "kinky:host": {"embedded": True, "accelerator": "container"},
    "kinky:controlPlane": {"memoryMib": 2560, "dataGib": 4},
    "kinky:workers": [{"pool": "worker", "memoryMib": 1536, "dataGib": 4}],
}
NOTE: Final = "KINKY_BENCH_NOTE"
"""Variable with the file that the test writes its times into."""
TEST: Final = f'''\
import json, os, time

def test_the_first_is_the_last(inner_cluster):
    note = {{"begin": time.time(), "cluster": inner_cluster.name}}
    note["namespace"] = inner_cluster.stack_file.config.host.namespace
    file = os.environ["{NOTE}"]
    with open(file + ".part", "w") as written:
        json.dump({{**note, "end": time.time()}}, written)
    os.replace(file + ".part", file)
'''
RUN_SECONDS: Final = 1200.0
EVERY_SECONDS: Final = 0.1
TTL: Final = "30m"


@dataclass(frozen=True)
class Note:
    """The note of the test: when its first line ran and its last one ended (seconds since 1970), and where."""

    begin: float
    end: float
    cluster: str
    namespace: str


def measure_leases(runs: int) -> dict[str, Any]:
    """Run a small project's tests again and again, each time on a cluster of its own.

    Raises:
        KinkyError: The tests failed, or something of a cluster stays.
    """
    first, emptied = [], []
    before = read_counts()
    # Folders and the like are made once and stay, so they are there after one run.
    _measure_run("bench: one lease before the others")
    settled = read_counts()
    for number in range(runs):
        to_test, to_empty = _measure_run(f"bench: lease {number + 1} of {runs}")
        first.append(to_test)
        emptied.append(to_empty)
    return {
        "pytestToFirstTestSeconds": summarise(first),
        "lastTestToEmptySeconds": summarise(emptied),
        "left": {"before": asdict(before), "afterOne": asdict(settled), "afterAll": asdict(read_counts())},
    }


def read_note(file: Path) -> Note | Pending:
    """Read what the test has written, once it is there."""
    try:
        return Note(**json.loads(file.read_text()))
    except FileNotFoundError:
        return Pending("the test has not run")


def write_project(folder: Path) -> None:
    """Write the files of the project: a stack and a test."""
    (folder / "small.yaml").write_text(yaml.safe_dump({"config": dict(STACK)}))
    (folder / "test_bench.py").write_text(TEST)


def _measure_run(title: str) -> tuple[float, float]:
    """Return the seconds from the start of pytest to the test, and from its end until its cluster is gone."""
    with tempfile.TemporaryDirectory(prefix="kinky-bench-", dir="/var/tmp") as name, phase(title):
        folder = Path(name)
        write_project(folder)
        with ThreadPoolExecutor(max_workers=1) as pool:
            started = time.time()
            running = pool.submit(_run_pytest, folder)
            note = _wait_note(folder / "note.json", running)
            access = HostAccess(
                kubeconfig=str(paths.host_kubeconfig()), context=None, namespace=note.namespace, cluster=note.cluster
            )
            wait_removed(HostApi.connect(access))
            empty = time.time()
            running.result()
    return note.begin - started, empty - note.end


def _run_pytest(folder: Path) -> None:
    options = ["-p", "kinky.testing.plugin", "-p", "no:cacheprovider", "--kinky-stack", "small.yaml"]
    process.run(
        [sys.executable, "-m", "pytest", *options, "--kinky-ttl", TTL],
        reason="measure a lease",
        cwd=folder,
        env={"PYTHONPATH": str(paths.import_root()), NOTE: str(folder / "note.json")},
        timeout_seconds=RUN_SECONDS,
        log=folder / "pytest.log",
    )


def _wait_note(file: Path, running: Future[None]) -> Note:
    def look() -> Note | Pending:
        found = read_note(file)
        if isinstance(found, Pending) and running.done():
            running.result()
            raise KinkyError("pytest ended, and the test of the bench did not run")
        return found

    return wait_until(look, what="the test runs", deadline_seconds=RUN_SECONDS, every_seconds=EVERY_SECONDS)
