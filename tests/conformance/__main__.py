"""`make conformance`: a cluster of container guests, the whole suite, a table, and the cluster's end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kinky import paths
from kinky.border import run_main
from kinky.errors import KinkyError
from kinky.progress import note
from tests.conformance.programs import ensure_programs
from tests.conformance.report import PASSED, Result, build_table, list_failures, read_not_run
from tests.conformance.runner import PROCESSES, Suite
from tests.conformance.stand_ins import ensure_archive
from tests.e2e.person import Person, borrow

STACK: Final = "local-conformance"
"""Git knows no stack file of this name."""
CHOICES: Final = {
    # A fault between nodes shows only with a second worker.
    "kinky:controlPlane": {"memoryMib": 3072},
    "kinky:workers": [{"pool": "worker", "replicas": 2, "cores": 2, "memoryMib": 3072}],
}
LIMIT_SECONDS: Final = 3600.0
LOAD_SECONDS: Final = 600.0
SIDE_BY_SIDE: Final = "Conformance && !Serial"
ALONE: Final = "Conformance && Serial"


def prepare(owner: Person, folder: Path) -> Suite:
    """Return the suite for the owner's cluster, whose nodes have its images then."""
    programs = ensure_programs()
    suite = Suite(programs, owner.environment(), folder)
    archive = ensure_archive(programs, suite.list_images())
    owner.kinky("load", str(archive), "--stack", owner.stack.stack, limit_seconds=LOAD_SECONDS)
    return suite


def run_all(suite: Suite, focus: Sequence[str]) -> list[Result]:
    """Run each conformance test but those of the list: side by side where they may, the others one by one."""
    results = []
    for labels, processes in ((SIDE_BY_SIDE, PROCESSES), (ALONE, 1)):
        results += suite.run(
            labels, processes=processes, focus=focus, leave_out=read_not_run(), limit_seconds=LIMIT_SECONDS
        )
    return results


def main() -> int:
    """Run everything and return 0 if each test passed."""
    parser = argparse.ArgumentParser(prog="make conformance", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--focus", action="append", default=[], help="only tests whose name has this regular expression"
    )
    arguments = parser.parse_args()
    folder = paths.cache_dir() / "conformance"
    folder.mkdir(parents=True, exist_ok=True)
    with borrow(STACK, base="dev", scratch=folder, changes=CHOICES) as owner:
        owner.kinky("host", "up", limit_seconds=1800)
        owner.up()
        results = run_all(prepare(owner, folder), arguments.focus)
        owner.destroy()
    sys.stdout.write(build_table(results, read_not_run()) + "\n")
    note(f"reports: {folder}")
    if failures := list_failures(results):
        note(failures)
    if not results:
        raise KinkyError("no test ran", hint="--focus is a regular expression on the full names of tests")
    return 0 if all(each.state == PASSED for each in results) else 1


if __name__ == "__main__":
    sys.exit(run_main("conformance", main))
