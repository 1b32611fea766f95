"""The bench of one ground: `up` and the commands after it, the floor, and the ratio of both.

A ground is data: its accelerator, the maker of its floor, and whether the bench also replaces nodes on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from kinky import names
from kinky.accelerator import Accelerator
from kinky.bench.clock import timed
from kinky.bench.floor import Starter, measure_floor
from kinky.bench.memory import read_processes, sum_by_role
from kinky.bench.phases import PhaseClock
from kinky.bench.replacement import measure_replacement
from kinky.progress import note, phase
from kinky.retry import pause
from kinky.stacks.file import StackFile, read_stack_file
from kinky.topology.nodes import build_nodes

REST_SECONDS: Final = 60.0
"""How long the finished cluster is left alone before its memory is read: start-up garbage is then collected."""
WIDE: Final = {"controlPlane.replicas": "3", "workers[0].replicas": "2"}
"""Settings of the wide stack, besides those of the ground."""
REPLACED: Final = (names.WORKER, names.CONTROL_PLANE)
"""A control plane that has just come back would slow a worker down."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where the stack is made."""

    accelerator: Accelerator
    setting: str
    """`host.accelerator` of the stack that is made here."""
    start_floor: Starter
    quick: bool
    """Whether nodes are replaced and a wide cluster may be made: elsewhere that takes up to half an hour."""


def measure_ground(stack_file: StackFile, ground: Ground, *, with_floor: bool, wide: bool) -> dict[str, Any]:
    """Measure a stack that does not exist yet, from nothing to nothing; the stack's file is afterwards as it was."""
    own = {"host.accelerator": ground.setting}
    with settings(stack_file, own) as here:
        result = _measure_stack(here, replaced=REPLACED if ground.quick else ())
        if with_floor:
            floor = _measure_floor(here, ground)
            reached = result["up"]["phases"].get("nodesReady")
            result |= {
                "floor": floor,
                "ratio": round(reached / floor["nodesReady"], 2) if reached is not None else None,
            }
    if wide and ground.quick:
        with settings(stack_file, own | WIDE) as here:
            result["wide"] = _measure_stack(here, replaced=(names.CONTROL_PLANE,))
    return result


@contextmanager
def settings(stack_file: StackFile, values: Mapping[str, str]) -> Iterator[StackFile]:
    """Write settings into the stack's file, where Pulumi reads them, and put the file back afterwards."""
    from kinky.stacks.engine import open_engine

    engine = open_engine(stack_file)
    # A stack that is new gets its salt now, and that has to stay in the file.
    engine.ensure()
    before = stack_file.path.read_bytes()
    try:
        for key, value in values.items():
            engine.keep_setting(key=key, value=value)
        yield read_stack_file(stack_file.stack)
    finally:
        stack_file.path.write_bytes(before)


def _measure_stack(stack_file: StackFile, *, replaced: Sequence[str]) -> dict[str, Any]:
    """Return the phases of up, the guests' own clocks, memory at rest, and the times of what follows an up.

    Args:
        replaced: Roles of which the first node is replaced.
    """
    from kinky.embedded.layout import default_layout
    from kinky.stacks.engine import open_engine

    engine = open_engine(stack_file)
    nodes = build_nodes(stack_file.config)
    roles = {node.name: node.role for node in nodes}
    namespace, cgroup = stack_file.config.host.namespace, default_layout().cgroup
    empty = sum_by_role(read_processes(cgroup), namespace=namespace, roles={})
    clock = PhaseClock()
    up_seconds = timed("bench: up", lambda: engine.up(on_event=clock.see))
    guests = _fetch_guest_stages(stack_file, list(roles))
    preview_seconds = timed("bench: preview of the finished stack", lambda: engine.preview(expect_no_changes=True))
    second_seconds = timed("bench: second up", engine.up)
    with phase("bench: at rest", limit_seconds=REST_SECONDS):
        pause(REST_SECONDS)
    rest = sum_by_role(read_processes(cgroup), namespace=namespace, roles=roles)
    firsts = {
        role: next(node.name for node in nodes if node.role == role) for role in replaced if role in roles.values()
    }
    replacements = {role: measure_replacement(stack_file, name) for role, name in firsts.items()}
    destroy_seconds = timed("bench: destroy", engine.destroy)
    return {
        "nodes": {role: sum(node.role == role for node in nodes) for role in names.ROLES},
        "up": {"seconds": up_seconds, "phases": clock.seconds, "guests": guests},
        "noopPreviewSeconds": preview_seconds,
        "secondUpSeconds": second_seconds,
        "restMib": {**rest, "hostWithoutVms": empty["host"]},
        "replacedSeconds": replacements,
        "destroySeconds": destroy_seconds,
    }


def _fetch_guest_stages(stack_file: StackFile, nodes: list[str]) -> dict[str, dict[str, float | None]]:
    """Return what each guest said on its console: stage to seconds since its kernel started."""
    from kinky.forming.diagnose import fetch_stages
    from kinky.reach.host import find_host
    from kinky.reach.reach import Reach

    host = Reach(find_host(stack_file.config)).host()
    return {node: {stage.name: stage.uptime_seconds for stage in fetch_stages(host, node)} for node in nodes}


def _measure_floor(stack_file: StackFile, ground: Ground) -> dict[str, Any]:
    from kinky.toolchain.tools import tool_path

    note("bench: the floor runs beside the embedded host, which is at rest and without VMs")
    with phase(f"bench: the same nodes without KubeVirt ({ground.accelerator})"):
        return measure_floor(stack_file.config, ground.start_floor, kubectl=tool_path("kubectl"))
