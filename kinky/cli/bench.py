"""`kinky bench`: what `up` costs, and how close that is to the same nodes under bare QEMU. One JSON."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from kinky import names, paths, process
from kinky.accelerator import Accelerator
from kinky.cli import options
from kinky.cli.bench_memory import read_processes, sum_by_role
from kinky.cli.bench_phases import PhaseClock
from kinky.cli.stack_file import StackFile, read_stack_file
from kinky.errors import ConfigError
from kinky.progress import note, phase
from kinky.retry import pause

REST_SECONDS: Final = 60.0
"""How long the finished cluster is left alone before its memory is read: start-up garbage is then collected."""
PREVIEW_SIZES: Final = (10, 100, 1000)


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky bench`."""
    parser = options.command_parser(
        command, description="Measure a stack of the embedded host from nothing to nothing; print one line of JSON."
    )
    options.add_stack(parser)
    parser.add_argument("--without-floor", action="store_true", help="leave out bare QEMU and the ratio")
    options.set_run(parser, run_bench)
    return parser


def run_bench(arguments: argparse.Namespace) -> int:
    """Measure, print and keep the result. The stack is destroyed before and after.

    Raises:
        ConfigError: The stack is not on the embedded host, so that it may be somebody's to keep.
    """
    stack_file = read_stack_file(arguments.stack)
    if not stack_file.embedded:
        raise ConfigError(
            f'stack "{stack_file.stack}": host.embedded is false, and a bench would destroy it; nothing was touched',
            hint="measure a stack of the embedded host: kinky bench --stack dev",
        )
    # First, because it needs no host and fails soonest.
    previews = {str(size): _measure_preview(size) for size in PREVIEW_SIZES}
    result: dict[str, Any] = {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "stack": stack_file.stack,
        "hostReadySeconds": _measure_host(stack_file),
        "machine": _describe_machine(),
        "previewSeconds": previews,
        **_measure_stack(stack_file),
    }
    if not arguments.without_floor:
        result["floor"] = _measure_floor(stack_file, result["machine"]["accelerator"])
        reached, lowest = result["up"]["phases"].get("nodesReady"), result["floor"]["nodesReady"]
        result["ratio"] = round(reached / lowest, 2) if reached else None
    line = json.dumps(result)
    target = paths.project_root() / "bench" / "latest.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(line + "\n")
    print(line)
    return 0


def _measure_host(stack_file: StackFile) -> float:
    """Return the seconds from a stopped embedded host to one with KubeVirt, on which this stack does not exist."""
    from kinky.cli.stack_engine import open_engine
    from kinky.embedded import host

    with phase("bench: from nothing"):
        host.up()
        engine = open_engine(stack_file)
        if engine.exists():
            engine.destroy()
        host.down()
    return _timed("bench: embedded host", host.up)


def _describe_machine() -> dict[str, Any]:
    from kinky.embedded import host

    status = host.status()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return {"cores": os.cpu_count(), "memoryMib": memory, "accelerator": status.accelerator}


def _measure_stack(stack_file: StackFile) -> dict[str, Any]:
    """Return the phases of up, the guests' own clocks, memory at rest, the time of a no-op preview and of destroy."""
    from kinky.cli.stack_engine import open_engine
    from kinky.embedded.layout import default_layout
    from kinky.topology.nodes import build_nodes

    engine = open_engine(stack_file)
    nodes = build_nodes(stack_file.config)
    namespace, cgroup = stack_file.config.host.namespace, default_layout().cgroup
    empty = sum_by_role(read_processes(cgroup), namespace=namespace, roles={})
    clock = PhaseClock()
    up_seconds = _timed("bench: up", lambda: engine.up(on_event=clock.see))
    guests = _fetch_guest_stages(stack_file, [node.name for node in nodes])
    preview_seconds = _timed("bench: preview of the finished stack", lambda: engine.preview(expect_no_changes=True))
    with phase("bench: at rest", limit_seconds=REST_SECONDS):
        pause(REST_SECONDS)
    rest = sum_by_role(read_processes(cgroup), namespace=namespace, roles={node.name: node.role for node in nodes})
    destroy_seconds = _timed("bench: destroy", engine.destroy)
    return {
        "nodes": {role: sum(node.role == role for node in nodes) for role in names.ROLES},
        "up": {"seconds": up_seconds, "phases": clock.seconds, "guests": guests},
        "noopPreviewSeconds": preview_seconds,
        "restMib": {**rest, "hostWithoutVms": empty["host"]},
        "destroySeconds": destroy_seconds,
    }


def _fetch_guest_stages(stack_file: StackFile, nodes: list[str]) -> dict[str, dict[str, float | None]]:
    """Return what each guest said on its console: stage to seconds since its kernel started."""
    from kinky.bootstrap.diagnose import fetch_stages
    from kinky.kube.access import HostAccess

    access = HostAccess(
        kubeconfig=str(paths.host_kubeconfig()),
        context=None,
        namespace=stack_file.config.host.namespace,
        cluster=stack_file.cluster,
    )
    return {node: {stage.name: stage.uptime_seconds for stage in fetch_stages(access, node)} for node in nodes}


def _measure_floor(stack_file: StackFile, accelerator: Accelerator) -> dict[str, Any]:
    from kinky.cli.bench_floor import measure_floor
    from kinky.embedded.toolchain import tool_path
    from kinky.nodeimage.build import current_node_image

    note("bench: the floor runs beside the embedded host, which is at rest and without VMs")
    with phase("bench: the same nodes under bare QEMU"):
        return measure_floor(
            stack_file.config,
            current_node_image(),
            kubectl=tool_path("kubectl"),
            accelerator="kvm" if accelerator is Accelerator.KVM else "tcg",
        )


def _measure_preview(size: int) -> float:
    """Return the seconds of the program alone, in a process of its own: Pulumi's runtime keeps what was declared."""
    with phase(f"bench: the program with {size} VMs on a mocked host"):
        command = [sys.executable, "-m", "kinky.cli.stack_preview", str(size)]
        return float(process.run(command, reason="measure a preview", cwd=paths.project_root()).split()[-1])


def _timed(title: str, work: Callable[[], object]) -> float:
    started = time.monotonic()
    with phase(title):
        work()
    return round(time.monotonic() - started, 1)
