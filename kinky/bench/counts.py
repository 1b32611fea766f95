"""Counts of everything that leases could leave on a machine with the embedded host, for a look before and after."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kinky import paths
from kinky.bench.memory import read_processes
from kinky.embedded import machine
from kinky.embedded.layout import default_layout
from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.reach.forward import DAEMON_MODULE

PROC: Final = Path("/proc")
BLOCK: Final = Path("/sys/block")
MIB: Final = 1 << 20


@dataclass(frozen=True)
class Counts:
    """How much there is of what must not grow."""

    processes: int
    """In the host's control group."""
    forwards: int
    mounts: int
    """Of this machine and of the host's sandbox."""
    loop_devices: int
    claims: int
    """With their volumes."""
    state_files: int
    """In the state directory, without the host's own."""
    memory_mib: int
    """Of the host's processes, proportional."""
    disk_mib: int
    """Used on the file system of the state directory."""


def read_counts() -> Counts:
    """Count on this machine; raises HostError when the embedded host does not run."""
    place = default_layout()
    record = machine.running(place)
    sandbox = machine.inner_pid(record) if record else None
    if sandbox is None:
        raise HostError("the embedded host does not run", hint="kinky host up")
    found = read_processes(place.cgroup)
    return Counts(
        processes=len(found),
        forwards=count_processes(DAEMON_MODULE),
        mounts=count_mounts("self") + count_mounts(str(sandbox)),
        loop_devices=sum(1 for _ in BLOCK.glob("loop*/loop/backing_file")),
        claims=_count_claims(),
        state_files=count_files(paths.state_dir(), without=paths.host_dir()),
        memory_mib=round(sum(each.pss_mib for each in found)),
        disk_mib=shutil.disk_usage(paths.state_dir()).used // MIB,
    )


def count_processes(word: str, *, proc: Path = PROC) -> int:
    """Count the processes that have this word in their command line."""
    count = 0
    for entry in proc.iterdir():
        if entry.name.isdigit():
            # It may end while we look.
            with suppress(OSError):
                count += word in (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    return count


def count_mounts(process: str, *, proc: Path = PROC) -> int:
    """Count the mounts that a process sees."""
    return len((proc / process / "mountinfo").read_text().splitlines())


def count_files(folder: Path, *, without: Path) -> int:
    """Count the files below a folder, without those below another one."""
    count = 0
    for top, folders, files in os.walk(folder):
        # The host's own folder holds the files of all its containers.
        folders[:] = [name for name in folders if Path(top, name) != without]
        count += len(files)
    return count


def _count_claims() -> int:
    access = HostAccess(kubeconfig=str(paths.host_kubeconfig()), context=None, namespace="default", cluster="bench")
    host = HostApi.connect(access)
    return sum(len(host.fetch_all(kind)) for kind in (resources.PVCS, resources.PERSISTENT_VOLUMES))
