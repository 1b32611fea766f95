"""What is run: the cluster for it, the whole suite, and the part that `make e2e` has time for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.conformance.programs import ensure_programs
from tests.conformance.report import Result, read_not_run
from tests.conformance.runner import Suite
from tests.conformance.stand_ins import ensure_archive
from tests.e2e.person import Person

CHOICES: Final = {
    "kinky:controlPlane": {"memoryMib": 3072},
    # A fault between nodes shows only with a second worker.
    "kinky:workers": [{"pool": "worker", "replicas": 2, "cores": 2, "memoryMib": 3072}],
}
PART: Final = Path(__file__).parent / "part.txt"
PROCESSES: Final = 4
"""Tests mostly wait: four at a time keep two processors half busy."""
SIDE_BY_SIDE: Final = "Conformance && !Serial"
ALONE: Final = "Conformance && Serial"
LIMIT_SECONDS: Final = 3600.0
PART_SECONDS: Final = 900.0
LOAD_SECONDS: Final = 600.0


def prepare(owner: Person, folder: Path) -> Suite:
    """Return the suite for the owner's cluster, whose nodes have its images then."""
    programs = ensure_programs()
    suite = Suite(programs=programs, environment=owner.environment(), folder=folder)
    load(owner, suite)
    return suite


def load(owner: Person, suite: Suite, *options: str) -> None:
    """Put the images of the suite into the nodes."""
    archive = ensure_archive(suite.programs, suite.images)
    owner.kinky("load", str(archive), *options, "--stack", owner.stack.stack, limit_seconds=LOAD_SECONDS)


def run_all(suite: Suite, focus: Sequence[str]) -> list[Result]:
    """Run each conformance test but those of the list: side by side where they may, the others one by one."""
    results = []
    for name, labels, processes in (("parallel", SIDE_BY_SIDE, PROCESSES), ("serial", ALONE, 1)):
        results += suite.run(
            name, labels, processes=processes, focus=focus, leave_out=read_not_run(), limit_seconds=LIMIT_SECONDS
        )
    return results


def read_part() -> list[str]:
    """Return the regular expressions of the part."""
    lines = [line.split("#", 1)[0].strip() for line in PART.read_text().splitlines()]
    return [line for line in lines if line]


def run_part(suite: Suite) -> list[Result]:
    """Run the tests that part.txt names."""
    return suite.run(
        "part",
        SIDE_BY_SIDE,
        processes=PROCESSES,
        focus=read_part(),
        leave_out=read_not_run(),
        limit_seconds=PART_SECONDS,
    )
