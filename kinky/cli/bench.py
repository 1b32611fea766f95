"""`kinky bench`: what `up` costs on each ground, and how close that is to the same nodes without KubeVirt. One JSON."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from kinky import names, paths, process
from kinky.accelerator import Accelerator
from kinky.bench import containers
from kinky.bench.clock import timed
from kinky.bench.ground import Ground, measure_ground
from kinky.cli import options
from kinky.errors import ConfigError
from kinky.nodeimage import floor
from kinky.nodeimage.build import current_node_image
from kinky.progress import note, phase
from kinky.releases import Release
from kinky.stacks.file import StackFile, read_stack_file

VM: Final = "vm"
"""The ground of the host's VMs, whichever accelerator they have."""
PREVIEW_SIZES: Final = (10, 100, 1000)


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky bench`."""
    parser = options.command_parser(
        command, description="Measure a stack of the embedded host from nothing to nothing; print one line of JSON."
    )
    options.add_stack(parser)
    parser.add_argument(
        "--ground",
        choices=(VM, Accelerator.CONTAINER.value),
        help="only the host's VMs, or only container guests (default: both)",
    )
    parser.add_argument("--wide", action="store_true", help="also three control planes and two workers, as containers")
    parser.add_argument(
        "--without-floor", action="store_true", help="leave out the nodes without KubeVirt, and the ratio"
    )
    options.set_run(parser, run_bench, prints="one line of JSON")
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
        "grounds": _measure_grounds(arguments, stack_file),
    }
    line = json.dumps(result)
    target = paths.project_root() / "bench" / "latest.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(line + "\n")
    print(line)
    return 0


def _measure_host(stack_file: StackFile) -> float:
    """Return the seconds from a stopped embedded host to one with KubeVirt, on which this stack does not exist."""
    from kinky.embedded import host
    from kinky.stacks.engine import open_engine

    with phase("bench: from nothing"):
        host.up()
        engine = open_engine(stack_file)
        if engine.exists():
            engine.destroy()
        host.down()
    return timed("bench: embedded host", host.up)


def _describe_machine() -> dict[str, Any]:
    from kinky.embedded import host

    status = host.status()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return {"cores": os.cpu_count(), "memoryMib": memory, "accelerator": status.accelerator}


def _measure_grounds(arguments: argparse.Namespace, stack_file: StackFile) -> dict[str, Any]:
    """Return the results by ground; where container guests are not offered, the reason."""
    from kinky.embedded import host

    status = host.status()
    found: dict[str, Any] = {}
    for ground in build_grounds(status.accelerator, stack_file.config.release):
        is_container = ground.accelerator is Accelerator.CONTAINER
        if arguments.ground not in (None, Accelerator.CONTAINER.value if is_container else VM):
            continue
        if is_container and status.container_guests != names.OFFERED:
            note(f"bench: no container guests ({status.container_guests})")
            found[ground.accelerator.value] = {"notOffered": status.container_guests}
            continue
        found[ground.accelerator.value] = measure_ground(
            stack_file, ground, with_floor=not arguments.without_floor, wide=arguments.wide
        )
    return found


def build_grounds(accelerator: Accelerator, release: Release) -> list[Ground]:
    """Return the grounds of a host whose VMs have this accelerator, for nodes of a release."""

    def start_machines(nodes: Sequence[floor.FloorNode], folder: Path) -> AbstractContextManager[floor.Floor]:
        kind = "kvm" if accelerator is Accelerator.KVM else "tcg"
        return floor.running(current_node_image(release), nodes, folder=folder, accelerator=kind)

    def start_containers(nodes: Sequence[floor.FloorNode], folder: Path) -> AbstractContextManager[floor.Floor]:
        return containers.running(current_node_image(release), nodes, folder=folder)

    return [
        Ground(accelerator=accelerator, setting="auto", start_floor=start_machines, quick=False),
        Ground(
            accelerator=Accelerator.CONTAINER,
            setting=Accelerator.CONTAINER.value,
            start_floor=start_containers,
            quick=True,
        ),
    ]


def _measure_preview(size: int) -> float:
    """Return the seconds of the program alone, in a process of its own: Pulumi's runtime keeps what was declared."""
    with phase(f"bench: the program with {size} VMs on a mocked host"):
        command = [sys.executable, "-m", "kinky.bench.declaration", str(size)]
        return float(process.run(command, reason="measure a preview", cwd=paths.project_root()).split()[-1])
