"""Whether the machine can carry container guests, decided by a trial of everything that they ask of its kernel.

It takes about a tenth of a second. The file systems are mounted in a namespace that vanishes with the trial, and
the kernel frees its loop device with the last mount.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kinky import process
from kinky.embedded import cgroups, kernel_settings
from kinky.embedded.cgroups import Hierarchy
from kinky.embedded.layout import Layout
from kinky.errors import CommandError

SECONDS: Final = 20.0
STEPS: Final = (
    ("an ext4 file system", "truncate -s 4M disk && mke2fs -q -F -t ext4 -O ^has_journal disk"),
    ("a loop device with ext4", "mkdir lower && mount -t ext4 -o loop,ro disk lower"),
    (
        "an overlay on it",
        "mkdir upper merged && mount -t tmpfs tmpfs upper && mkdir upper/data upper/work"
        " && mount -t overlay -o lowerdir=lower,upperdir=upper/data,workdir=upper/work overlay merged"
        " && touch merged/file",
    ),
    ("FUSE", "test -c /dev/fuse || { echo there is no /dev/fuse; false; }"),
    ("namespaces of control groups and time", "unshare --cgroup --time --fork -- true"),
)
"""A guest's root: the node image as a file by FUSE, its partition on a loop device, and an overlay in RAM above."""
UNIFIED: Final = ("cpu", "memory", "pids")
SEPARATE: Final = ("cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "name=systemd")
"""Hierarchies of the older, separate kind that a guest's systemd, its runtime and its kubelet need."""


def find_obstacle(place: Layout) -> str:
    """Return in one line why this machine carries no container guests; empty if it does.

    The host must run: its control groups are used.
    """
    if os.geteuid() != 0:
        return f"not root: user id {os.geteuid()}"
    kernel_settings.load_modules()
    found = cgroups.hierarchies()
    obstacle = (
        kernel_settings.ensure(place)
        or find_missing_groups(found)
        or _try_groups(found, place.cgroup)
        or _try_file_systems(place)
    )
    return " ".join(obstacle.split())


def find_missing_groups(found: Sequence[Hierarchy]) -> str:
    """Return which control groups are missing; empty if a guest finds what it needs."""
    if all(hierarchy.unified for hierarchy in found):
        served = {name for hierarchy in found for name in _read_controllers(hierarchy)}
        missing, version = [name for name in UNIFIED if name not in served], "version 2"
    else:
        served = {name for hierarchy in found for name in hierarchy.controllers if not hierarchy.unified}
        missing, version = [name for name in SEPARATE if name not in served], "version 1"
    return f"control groups of {version} lack {', '.join(missing)}" if missing else ""


def _read_controllers(hierarchy: Hierarchy) -> list[str]:
    try:
        return (hierarchy.mount / "cgroup.controllers").read_text().split()
    except OSError:
        return []


def _try_groups(found: Sequence[Hierarchy], group: str) -> str:
    """Make and remove a group inside of a group, as a guest does in every hierarchy."""
    for hierarchy in found:
        outer = hierarchy.mount / group / f"trial-{os.getpid()}"
        made: list[Path] = []
        try:
            for path in (outer, outer / "guest"):
                path.mkdir()
                made.append(path)
        except OSError as error:
            return f"no control group can be made in {hierarchy.mount}: {error.strerror}"
        finally:
            for path in reversed(made):
                path.rmdir()
    return ""


def _try_file_systems(place: Layout) -> str:
    """Run the steps in a mount namespace of their own, where guests' disks will be."""
    with tempfile.TemporaryDirectory(dir=place.root, prefix="trial-") as folder:
        command = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", build_script()]
        try:
            output = process.run(
                command, reason="try container guests", cwd=Path(folder), timeout_seconds=SECONDS
            ).splitlines()
        except CommandError as error:
            return error.details[-1] if error.details else error.message
    return output[-1] if output else ""


def build_script() -> str:
    """Return a script that prints the first step that failed, with the kernel's words, and nothing if none did."""
    lines = [
        # Standard output and standard error of each step are kept; a shell's own subshell shares the mounts.
        f'said=$( {{ {command}; }} 2>&1 ) || {{ echo {shlex.quote(feature)}: "$(echo "$said" | tail -n 1)"; exit 0; }}'
        for feature, command in STEPS
    ]
    return "\n".join(lines)
