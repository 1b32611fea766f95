"""Tests of somebody else's that are killed, with all that they have started, and what the host still has of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kinky import names, paths
from kinky.testing.run import runs_dir
from tests.e2e.machine import list_processes
from tests.e2e.person import ALWAYS_THERE, ROOT, Person, wait_for
from tests.e2e.projects import NAMESPACE, build_command, write_project

MARK = "KINKY_E2E_KILLED"
"""A variable in the environment of all that a run starts."""
MOMENT_SECONDS = 300.0
PROJECT = """
import pathlib
import time

def test_one(inner_cluster):
    inner_cluster.kubectl("create", "configmap", "mine")
    pathlib.Path("in-test").touch()
    while pathlib.Path("stay").exists():
        time.sleep(0.2)
"""


def kill_run(admin: Person, folder: Path, name: str, *, ttl: str) -> tuple[str, float]:
    """Start a run, kill it with all of its processes at the moment of this name; return its cluster and the time."""
    write_project(folder, PROJECT)
    if name == "in a test":
        (folder / "stay").touch()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), MARK: "1"}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            build_command(ttl=ttl),
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as running,
    ):
        try:
            wait_for("the lease", lambda: has_lease(admin, find_cluster(folder)), limit_seconds=MOMENT_SECONDS)
            cluster = find_cluster(folder)
            wait_for(name, lambda: MOMENTS[name](admin, cluster, folder), limit_seconds=MOMENT_SECONDS)
            assert running.poll() is None, (folder / "log").read_text()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            # The forward has a session of its own.
            for pid in marked():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    moment = time.monotonic()
    burn(cluster)
    return cluster, moment


def burn(cluster: str) -> None:
    """Remove what this machine knows of a run and its cluster: the next run would end its lease early."""
    shutil.rmtree(runs_dir() / cluster.split("-")[1])
    shutil.rmtree(paths.stack_dir(cluster), ignore_errors=True)
    (ROOT / "stacks" / f"Pulumi.{cluster}.yaml").unlink(missing_ok=True)


def has_vm(admin: Person, cluster: str, _folder: Path) -> bool:
    """Tell whether a VM was made."""
    return bool(ask(admin, "virtualmachines", cluster, "name"))


def runs_vms(admin: Person, cluster: str, _folder: Path) -> bool:
    """Tell whether a guest boots, whose API cannot have answered yet."""
    return "Running" in ask(admin, "virtualmachineinstances", cluster, "jsonpath={..status.phase}")


def is_in_teardown(admin: Person, cluster: str, folder: Path) -> bool:
    """Tell whether the test has ended and so has the lease, while objects are left."""
    return (folder / "in-test").exists() and not has_lease(admin, cluster)


MOMENTS: dict[str, Callable[[Person, str, Path], bool]] = {
    "just after the lease was made": lambda _admin, _cluster, _folder: True,
    "while VMs are made": has_vm,
    "before the API answers": runs_vms,
    "in a test": lambda _admin, _cluster, folder: (folder / "in-test").exists(),
    "in the teardown": is_in_teardown,
}


def ask(admin: Person, kind: str, cluster: str, output: str) -> str:
    """Return what the host tells of a cluster's objects of one kind."""
    selector = f"{names.LABEL_CLUSTER}={cluster}"
    return admin.host("get", kind, "--namespace", NAMESPACE, "--selector", selector, "--output", output)


def has_lease(admin: Person, cluster: str) -> bool:
    """Tell whether the host has the lease of a cluster; that of no name it has not."""
    found = admin.host("get", "jobs", "--namespace", NAMESPACE, "--output", "name").split()
    return f"job.batch/{names.lease(cluster)}" in found


def find_cluster(folder: Path) -> str:
    """Return the cluster of a run by the folder of its logs; empty before it has one."""
    return next((path.name for path in (folder / ".kinky").glob("t-*")), "")


def left(admin: Person, cluster: str = "") -> set[str]:
    """Return what the namespace holds, of every kind that can be listed: all of it, or what has a cluster's name."""
    kinds = admin.host("api-resources", "--namespaced", "--verbs", "list", "--output", "name").split()
    # Events tell what was; metrics are no objects.
    asked = ",".join(kind for kind in kinds if not kind.startswith("events") and "metrics.k8s.io" not in kind)
    found = admin.host("get", asked, "--namespace", NAMESPACE, "--ignore-not-found", "--output", "name").split()
    return {name for name in found if name not in ALWAYS_THERE and cluster in name}


def wait_gone(admin: Person, cluster: str, what: str, *, limit_seconds: float) -> None:
    """Wait until the namespace holds nothing of a cluster, or nothing at all."""
    wait_for(what, lambda: not left(admin, cluster), limit_seconds=limit_seconds)


def marked() -> list[int]:
    """Return the processes that any run has started."""
    found = []
    for entry in list_processes():
        with suppress(OSError):
            if f"{MARK}=1".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found
