"""Bundles of failed tests: `kinky bundle` is called as a person would, and a failure of it hides no other one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kinky.errors import KinkyError
from kinky.stacks.file import StackFile
from kinky.testing.commands import run_kinky

MOST: Final = 3
"""Bundles of one process: the first failures explain most, and each bundle takes some seconds."""
LIMIT_SECONDS: Final = 300.0
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass
class Bundles:
    """Writes the bundles of one process of a test run."""

    run: str
    """The run's name, which keeps bundles of several runs apart."""
    tell: Callable[[str], None]
    written: int = 0

    def write(self, stack_file: StackFile, folder: Path, reason: str, *logs: Path) -> str:
        """Write a bundle and return a line about it; empty when there are enough already.

        Args:
            folder: The cluster's folder for what `kinky` printed.
            reason: Name of the test that failed, or of the command.
            logs: Files that belong into it, as far as they are there.
        """
        if self.written >= MOST:
            return ""
        self.written += 1
        bundle = folder / f"bundle-{self.run}-{_UNSAFE.sub('-', reason).strip('-')}"
        added = [option for log in logs if log.is_file() for option in ("--add", str(log))]
        self.tell(f"writing a bundle of inner cluster {stack_file.cluster}")
        try:
            log = folder / "kinky-bundle.log"
            run_kinky("bundle", str(bundle), *added, stack=stack_file, log=log, limit_seconds=LIMIT_SECONDS)
        except KinkyError as error:
            return f"no bundle of inner cluster {stack_file.cluster}: {error}"
        return f"bundle: {bundle}"
