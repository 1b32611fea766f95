"""Runs the suite against one inner cluster, as its operator: from outside, with the exported kubeconfig."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import yaml

from kinky import process
from kinky.errors import CommandError
from kinky.progress import Phase, phase
from tests.conformance.programs import Programs
from tests.conformance.report import Result, read_results
from tests.conformance.stand_ins import PREFIX, REGISTRIES

END_SECONDS: Final = 120.0
"""For the tests that run when the time is over, and for the report."""
LOOK_SECONDS: Final = 15.0
PLANNED: Final = re.compile(r"Will run (\d+) of")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The suite with everything that it needs."""

    programs: Programs
    environment: Mapping[str, str]
    """Of the cluster's operator, with the way to kubectl and to the cluster."""
    folder: Path
    """For logs and reports."""

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The images that any of its tests names."""
        listed = process.run([self.programs.suite, "--list-images"], reason="list the images", env=self._settings)
        return tuple(sorted(listed.split()))

    def find_image(self, name: str) -> str:
        """Return the reference of one of its images."""
        return next(each for each in self.images if each.startswith(f"{PREFIX}{name}:"))

    def run(
        self,
        name: str,
        labels: str,
        *,
        processes: int,
        focus: Sequence[str],
        leave_out: Iterable[str],
        limit_seconds: float,
    ) -> list[Result]:
        """Run the tests with these labels and return how each ended.

        Args:
            name: Of the reports.
            focus: Regular expressions; a test whose name has none of them is left out. All, without one.
            leave_out: Full names of tests.

        Raises:
            CommandError: No report was written, so not one test ran.
        """
        report, log = self.folder / f"{name}.json", self.folder / f"{name}.log"
        report.unlink(missing_ok=True)
        command: list[str | Path] = [
            *(self.programs.ginkgo, "run", f"--procs={processes}", "--no-color", "--randomize-all", "--seed=1"),
            *(f"--label-filter={labels}", f"--timeout={limit_seconds:.0f}s"),
            *(f"--focus={each}" for each in focus),
            *(f"--skip={re.escape(each)}" for each in leave_out),
            *(f"--output-dir={self.folder}", f"--json-report={report.name}", f"--junit-report={name}.xml"),
            *(self.programs.suite, "--", "--provider=skeleton", f"--kubeconfig={self.environment['KUBECONFIG']}"),
        ]
        with (
            phase(f"conformance tests: {labels}", limit_seconds=limit_seconds) as running,
            log.open("wb") as output,
            ticking(partial(_note_ended, log, running)),
            # It leaves files behind. The path is short, because some of them are sockets.
            tempfile.TemporaryDirectory(prefix="kinky-suite-") as litter,
        ):
            try:
                process.run(
                    command,
                    reason="run the conformance suite",
                    hint=f"the suite's words are in {log}",
                    env={**self._settings, "TMPDIR": litter},
                    output=output,
                    timeout_seconds=limit_seconds + END_SECONDS,
                )
            except CommandError:
                if not report.is_file():  # it also fails when a test does, and the report tells which
                    raise
        return read_results(report)

    @cached_property
    def _settings(self) -> dict[str, str]:
        registries = self.folder / "registries.yaml"
        registries.write_text(yaml.safe_dump(REGISTRIES))
        return {**self.environment, "KUBE_TEST_REPO_LIST": str(registries)}


def _note_ended(log: Path, running: Phase) -> None:
    """Say how many tests have ended; the suite prints a mark for each."""
    text = log.read_text(errors="replace")
    planned = PLANNED.search(text)
    running.note(f"{text.count('•')} of {planned.group(1) if planned else '?'} tests")


@contextmanager
def ticking(tick: Callable[[], None]) -> Iterator[None]:
    """Call `tick` again and again from a thread while the block runs."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.wait(LOOK_SECONDS):
            tick()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
