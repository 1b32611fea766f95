"""Control groups of the embedded host: one subtree in every hierarchy, made before the start, removed after the end.

A machine has either the unified hierarchy, or the older separate ones, or both; the kubelet needs its subtree in all.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kinky.errors import HostError
from kinky.retry import Pending, wait_until

NEEDED = ("cpu", "cpuacct", "cpuset", "memory", "pids")
PROCESSES = "system"
"""The child group with the host's own processes: in the unified hierarchy only leaves may hold processes."""


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy: where it is and, for an older one, its controllers."""

    mount: Path
    unified: bool
    controllers: frozenset[str]


def parse_hierarchies(mountinfo: str) -> tuple[Hierarchy, ...]:
    """Return the hierarchies in the text of /proc/self/mountinfo, each once."""
    found: dict[Path, Hierarchy] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(kind) < 3 or kind[0] not in {"cgroup", "cgroup2"}:
            continue
        mount = Path(fields[4])
        options = frozenset(kind[2].split(",")) - {"rw", "ro"}
        found[mount] = Hierarchy(mount, unified=kind[0] == "cgroup2", controllers=options)
    return tuple(found.values())


def hierarchies() -> tuple[Hierarchy, ...]:
    """Return the hierarchies mounted on this machine."""
    return parse_hierarchies(Path("/proc/self/mountinfo").read_text())


def missing_controllers(found: Sequence[Hierarchy]) -> list[str]:
    """Return the controllers a kubelet needs that no hierarchy has."""
    served = {controller for hierarchy in found for controller in hierarchy.controllers if not hierarchy.unified}
    for hierarchy in found:
        if hierarchy.unified:
            with contextlib.suppress(OSError):
                served |= set((hierarchy.mount / "cgroup.controllers").read_text().split())
    # The unified hierarchy accounts CPU time in its cpu controller.
    if "cpuacct" not in served and "cpu" in served:
        served.add("cpuacct")
    return [name for name in NEEDED if name not in served]


def create(name: str) -> None:
    """Make the subtree in every hierarchy, with the controllers of the unified one handed down."""
    for hierarchy in hierarchies():
        top = hierarchy.mount / name
        if hierarchy.unified:
            _hand_down(hierarchy.mount)
        top.mkdir(exist_ok=True)
        if hierarchy.unified:
            _hand_down(top)
        else:
            _inherit_cpuset(top)
        leaf = top / PROCESSES
        leaf.mkdir(exist_ok=True)
        if not hierarchy.unified:
            _inherit_cpuset(leaf)


def enter(name: str) -> None:
    """Move this process, and so all its later children, into the subtree."""
    for hierarchy in hierarchies():
        (hierarchy.mount / name / PROCESSES / "cgroup.procs").write_text(str(os.getpid()))


def remove(name: str) -> None:
    """Remove the subtree from every hierarchy, ending processes that are still in it.

    Raises:
        HostError: A group is still busy after ten seconds.
    """
    for hierarchy in hierarchies():
        top = hierarchy.mount / name

        def gone(top: Path = top) -> bool | Pending:
            return True if _remove_tree(top) else Pending(f"{top} is busy")

        if top.is_dir():
            wait_until(gone, what=f"removal of control group {top}", deadline_seconds=10, every_seconds=0.2)


def residue(name: str) -> list[Path]:
    """Return what is left of the subtree."""
    return [path for hierarchy in hierarchies() if (path := hierarchy.mount / name).is_dir()]


def memory_mib(name: str) -> int | None:
    """Return the MiB that the subtree uses without page cache that can be dropped, or None if no hierarchy tells."""
    for hierarchy in hierarchies():
        top = hierarchy.mount / name
        for usage in ("memory.usage_in_bytes", "memory.current"):
            if (top / usage).is_file():
                stat = dict(line.split() for line in (top / "memory.stat").read_text().splitlines())
                inactive = int(stat.get("total_inactive_file", stat.get("inactive_file", "0")))
                active = int(stat.get("total_active_file", stat.get("active_file", "0")))
                return max(0, int((top / usage).read_text()) - inactive - active) // (1 << 20)
    return None


def _hand_down(group: Path) -> None:
    """Enable each controller for the children; the kubelet reports a refused one by its name."""
    for controller in (group / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit_cpuset(group: Path) -> None:
    """Copy the CPUs and memory nodes: a new cpuset group has none and then refuses every process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        own = group / name
        if own.is_file() and not own.read_text().strip():
            own.write_text((group.parent / name).read_text())


def _remove_tree(top: Path) -> bool:
    """Remove the group and all below it, deepest first; tell whether it is gone."""
    for folder, _, _ in os.walk(top, topdown=False):
        _thaw(Path(folder))
        for pid in _pids(Path(folder)):
            with contextlib.suppress(OSError):
                os.kill(pid, 9)
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    return not top.is_dir()


def _thaw(group: Path) -> None:
    """Let the processes of a frozen group run: in the older hierarchy they cannot be killed before."""
    state = group / "freezer.state"
    if state.is_file():
        with contextlib.suppress(OSError):
            state.write_text("THAWED")


def _pids(group: Path) -> list[int]:
    try:
        return [int(line) for line in (group / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def check(found: Sequence[Hierarchy]) -> None:
    """Refuse a machine without the controllers that a kubelet needs.

    Raises:
        HostError: Names the controllers.
    """
    lacking = missing_controllers(found)
    if lacking:
        raise HostError(f"embedded host cannot start: kernel control groups lack {', '.join(lacking)}")
