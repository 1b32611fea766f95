"""`make conformance`: a cluster of container guests, the whole suite, a table, and the cluster's end."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from kinky import paths
from kinky.border import run_main
from kinky.errors import KinkyError
from kinky.progress import note
from tests.conformance.plan import CHOICES, prepare, run_all
from tests.conformance.report import PASSED, build_table, list_failures, read_not_run
from tests.e2e.person import borrow

STACK: Final = "local-conformance"
"""Git knows no stack file of this name."""


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
