"""`kinky bench`: sets of figures, such as what `up` costs on each ground. One JSON for each run."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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

if TYPE_CHECKING:
    from kinky.status.target import Target

VM: Final = "vm"
"""The ground of the host's VMs, whichever accelerator they have."""
PREVIEW_SIZES: Final = (10, 100, 1000)
UP: Final = "up"
LATEST: Final = "latest"
RUNS: Final = 20
MOST_RUNS: Final = 1000


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky bench`."""
    parser = options.command_parser(
        command, description="Measure a stack of the embedded host from nothing to nothing; print one line of JSON."
    )
    options.add_stack(parser)
    parser.add_argument(
        "--figures",
        choices=(UP, *SETS),
        default=UP,
        help="up on each ground, status and why, leases one after the other, or load of an image (default: up)",
    )
    parser.add_argument(
        "--runs",
        type=_parse_runs,
        default=RUNS,
        help="how often status, leases and load measure (default: %(default)s)",
    )
    parser.add_argument(
        "--ground",
        choices=(VM, Accelerator.CONTAINER.value),
        help="only the host's VMs, or only container guests (default: both)",
    )
    parser.add_argument(
        "--wide", action="store_true", help="also a larger cluster, as containers: five nodes, or nine for status"
    )
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
    figures = _measure_up(arguments, stack_file) if arguments.figures == UP else _measure_set(arguments, stack_file)
    result = {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "stack": stack_file.stack,
        "machine": _describe_machine(),
        **figures,
    }
    line = json.dumps(result)
    name = LATEST if arguments.figures == UP else arguments.figures
    target = paths.project_root() / "bench" / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(line + "\n")
    print(line)
    return 0


def _parse_runs(text: str) -> int:
    """Return a number of measurements."""
    try:
        runs = int(text)
    except ValueError:
        runs = 0
    if not 1 <= runs <= MOST_RUNS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_RUNS}")
    return runs


def _measure_up(arguments: argparse.Namespace, stack_file: StackFile) -> dict[str, Any]:
    return {
        # First, because it needs no host and fails soonest.
        "previewSeconds": {str(size): _measure_preview(size) for size in PREVIEW_SIZES},
        "hostReadySeconds": _measure_host(stack_file),
        "grounds": _measure_grounds(arguments, stack_file),
    }


def _measure_set(arguments: argparse.Namespace, stack_file: StackFile) -> dict[str, Any]:
    """Measure one of the other sets on container guests of the host, which is started if it does not run."""
    from kinky.bench.clusters import require_containers
    from kinky.embedded import host

    with phase("bench: embedded host"):
        host.up()
    require_containers()
    return {arguments.figures: SETS[arguments.figures](arguments, stack_file)}


def _measure_status(arguments: argparse.Namespace, stack_file: StackFile) -> dict[str, Any]:
    from kinky.bench.looking import measure_looking
    from kinky.cli.looking import find_way, open_way

    def open_target(here: StackFile) -> Target:
        return open_way(here, find_way(here))

    return measure_looking(stack_file, open_target, runs=arguments.runs, wide=arguments.wide)


def _measure_leases(arguments: argparse.Namespace, _stack_file: StackFile) -> dict[str, Any]:
    from kinky.bench.leases import measure_leases

    return measure_leases(arguments.runs)


def _measure_loading(arguments: argparse.Namespace, stack_file: StackFile) -> dict[str, Any]:
    from kinky.bench.loading import measure_loading

    return measure_loading(stack_file, runs=arguments.runs)


SETS: Final[Mapping[str, Callable[[argparse.Namespace, StackFile], dict[str, Any]]]] = {
    "status": _measure_status,
    "leases": _measure_leases,
    "load": _measure_loading,
}
"""Sets of figures besides `up`: each needs a host that runs, and makes clusters of its own."""


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
