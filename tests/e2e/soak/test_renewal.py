"""A run that lasts three TTLs keeps its cluster, because the plugin renews the lease: `make soak`."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kinky import names
from tests.e2e.killed import find_cluster, has_lease, left, wait_gone
from tests.e2e.person import ROOT, Person, borrow, wait_for
from tests.e2e.projects import NAMESPACE, build_command, write_project

pytestmark = pytest.mark.soak

STACK = "local-renewal"
"""Git knows no stack file of this name, and nobody makes its cluster."""
TTL, TTL_SECONDS, TTLS = "5m", 300, 3
START_SECONDS, END_SECONDS = 300.0, 120.0
PROJECT = f"""
import time

def test_long(inner_cluster):
    read = ("get", "namespace", "kube-system", "--output", "jsonpath={{.metadata.uid}}")
    before = inner_cluster.kubectl(*read)
    time.sleep({TTLS * TTL_SECONDS + 30})
    assert before and inner_cluster.kubectl(*read) == before
"""


@pytest.fixture(scope="module")
def admin(embedded_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The admin of the host."""
    with borrow(STACK, base="dev", scratch=tmp_path_factory.mktemp(STACK), changes={}) as someone:
        yield someone


def test_a_run_of_three_ttls_keeps_its_cluster(admin: Person, tmp_path: Path) -> None:
    write_project(tmp_path, PROJECT)
    with (tmp_path / "log").open("wb") as log:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        running = subprocess.Popen(build_command(ttl=TTL), cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        wait_for("the lease", lambda: has_lease(admin, find_cluster(tmp_path)), limit_seconds=START_SECONDS)
        cluster, ends = find_cluster(tmp_path), set()
        while running.poll() is None and has_lease(admin, cluster):
            end = find_end(admin, cluster)
            assert end is None or end > datetime.now(UTC), f"{cluster} has outlived its lease"
            ends.add(end)
            time.sleep(10)
        assert running.wait(END_SECONDS) == 0, (tmp_path / "log").read_text()
    finally:
        running.terminate()
    # At a third of its life each, so three renewals a TTL; the first end is the one it was made with.
    assert len(ends - {None}) >= 3 * TTLS, sorted(map(str, ends))
    wait_gone(admin, cluster, f"the end of {cluster}", limit_seconds=END_SECONDS)
    assert not left(admin, cluster)


def find_end(admin: Person, cluster: str) -> datetime | None:
    """Return when the lease of a cluster ends; None if it has gone meanwhile."""
    asked = ("get", "jobs", names.lease(cluster), "--namespace", NAMESPACE, "--ignore-not-found", "--output", "json")
    found = admin.host(*asked)
    if not found:
        return None
    job = json.loads(found)
    start = datetime.fromisoformat(job["status"]["startTime"])
    return start + timedelta(seconds=job["spec"]["activeDeadlineSeconds"])
