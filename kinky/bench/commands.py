"""The command `kinky` in a process of its own, as a person calls it, and how long it takes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Final

from kinky import paths, process
from kinky.errors import CommandError
from kinky.stacks.file import StackFile

LIMIT_SECONDS: Final = 1800.0


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    seconds: float


def build_command(stack_file: StackFile, *arguments: str) -> list[str]:
    """Return the command about a stack."""
    return [sys.executable, "-P", "-m", "kinky.cli.main", *arguments, "--stack", stack_file.stack]


def build_environment() -> dict[str, str]:
    """Return what the command needs to find this package, wherever it runs."""
    return {"PYTHONPATH": str(paths.import_root()), "KINKY_PROGRESS": "quiet"}


def run_kinky(stack_file: StackFile, *arguments: str, allowed: tuple[int, ...] = (0,)) -> Ended:
    """Run a command to its end and measure it, imports included.

    Raises:
        CommandError: Its exit code is not an allowed one.
    """
    command = build_command(stack_file, *arguments)
    started = time.monotonic()
    ended = process.ask(command, env=build_environment(), timeout_seconds=LIMIT_SECONDS)
    seconds = time.monotonic() - started
    if ended.returncode not in allowed:
        last = (ended.stderr or ended.stdout).decode(errors="replace").splitlines()[-20:]
        raise CommandError(f"kinky {' '.join(arguments)}: exit code {ended.returncode}", details=last)
    return Ended(ended.returncode, seconds)
