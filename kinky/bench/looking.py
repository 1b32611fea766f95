"""Times of `kinky status` and `kinky why`: a new process, a second look of a process, and a look after a kill."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from kinky import process
from kinky.bench import clusters
from kinky.bench.commands import build_command, build_environment, run_kinky
from kinky.bench.guests import fetch_launcher_uid, without_api
from kinky.bench.samples import Figure, summarise
from kinky.progress import phase
from kinky.reach.host import find_host
from kinky.reach.reach import Reach
from kinky.retry import Pending, wait_until
from kinky.stacks.file import StackFile
from kinky.status.probes import choose
from kinky.status.probes.api import CAPABILITY as API
from kinky.status.rounds import look_once
from kinky.status.target import Target
from kinky.topology.nodes import build_nodes, control_planes

TOLD: Final = re.compile(r"^\S+Z ([a-z]+): ([A-Z]+)\b", re.MULTILINE)
"""A line of `kinky status --watch`: time, capability, verdict."""
NINE_NODES: Final = {
    "controlPlane.replicas": "3",
    "controlPlane.memoryMib": "2560",
    "workers[0].replicas": "6",
    "workers[0].memoryMib": "1536",
}
"""The largest cluster of the bench; with the default memory it would not fit a machine of 24 GiB."""
WATCH: Final = ("status", "--watch")
NOTICED_SECONDS: Final = 120.0
BACK_SECONDS: Final = 300.0
EVERY_SECONDS: Final = 0.05

Opener = Callable[[StackFile], Target]
"""Opens a stack's cluster as something to look at."""


def measure_looking(stack_file: StackFile, open_target: Opener, *, runs: int, wide: bool) -> dict[str, Any]:
    """Return the figures of a stack that is made for them; with `wide`, also those of nine nodes."""
    with clusters.made(stack_file, {}) as here:
        result = _measure_looks(here, open_target, runs)
        result["apiKilledToCriticalSeconds"] = _measure_killed(here, runs)
    if wide:
        with clusters.made(stack_file, NINE_NODES) as here:
            result["wide"] = _measure_looks(here, open_target, runs)
    return result


def find_word(text: str, capability: str) -> str:
    """Return the newest verdict of a capability in the output of `--watch`; empty before the first one."""
    return next((word for name, word in reversed(TOLD.findall(text)) if name == capability), "")


def _measure_looks(stack_file: StackFile, open_target: Opener, runs: int) -> dict[str, Any]:
    with phase(f"bench: kinky status, {runs} new processes"):
        cold = [run_kinky(stack_file, "status", allowed=clusters.EXIT_CODES) for _ in range(runs)]
    with phase(f"bench: kinky why, {runs} new processes"):
        why = [run_kinky(stack_file, "why").seconds for _ in range(runs)]
    return {
        "nodes": len(build_nodes(stack_file.config)),
        "statusColdSeconds": {**summarise([each.seconds for each in cold]), "ok": sum(not each.code for each in cold)},
        "statusWarmSeconds": _measure_warm(open_target(stack_file), runs),
        "whySeconds": summarise(why),
    }


def _measure_warm(target: Target, runs: int) -> Figure:
    """Measure whole looks of this process, which has looked before, as `--watch` has."""
    probes, seconds = choose([], deep=False), []
    with phase(f"bench: {runs} looks of one process"):
        look_once(target, probes, vantage="bench")
        for _ in range(runs):
            started = time.monotonic()
            look_once(target, probes, vantage="bench")
            seconds.append(time.monotonic() - started)
    return summarise(seconds)


def _measure_killed(stack_file: StackFile, runs: int) -> Figure:
    """Kill the API server again and again; return the seconds until `--watch` has printed CRITICAL."""
    plane = control_planes(build_nodes(stack_file.config))[0].name
    pod = fetch_launcher_uid(Reach(find_host(stack_file.config)).host(), plane)
    seconds = []
    with _watching(stack_file) as log, phase(f"bench: the API of {plane} is killed {runs} times") as running:
        _wait_word(log, "OK", since=0, limit_seconds=BACK_SECONDS)
        for number in range(runs):
            size = log.stat().st_size
            with without_api(pod) as killed_at:
                _wait_word(log, "CRITICAL", since=size, limit_seconds=NOTICED_SECONDS)
                seconds.append(time.monotonic() - killed_at)
                size = log.stat().st_size
            running.note(f"{number + 1} of {runs}: CRITICAL after {seconds[-1]:.1f} s")
            _wait_word(log, "OK", since=size, limit_seconds=BACK_SECONDS)
    return summarise(seconds)


@contextmanager
def _watching(stack_file: StackFile) -> Iterator[Path]:
    """Run `kinky status --watch` while the block runs, and yield the file with what it prints."""
    with tempfile.TemporaryDirectory(prefix="kinky-bench-") as folder:
        log = Path(folder) / "watch.log"
        pid = process.spawn_detached(build_command(stack_file, *WATCH), log=log, env=build_environment())
        try:
            yield log
        finally:
            process.terminate(pid, expect=" ".join(WATCH))


def _wait_word(log: Path, word: str, *, since: int, limit_seconds: float) -> None:
    def look() -> bool | Pending:
        found = find_word(log.read_bytes()[since:].decode(errors="replace"), API)
        return found == word or Pending(f"api: {found or 'nothing new'}")

    wait_until(look, what=f"--watch prints {word}", deadline_seconds=limit_seconds, every_seconds=EVERY_SECONDS)
