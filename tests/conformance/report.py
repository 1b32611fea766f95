"""What a run of the suite says: each test with its end, and the table by special interest group (SIG)."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kinky.cli.options import to_table

LIST: Final = Path(__file__).parent / "not_run.toml"
SIG: Final = re.compile(r"\[(sig-[a-z-]+)\]")
PASSED: Final = "passed"
MESSAGE_CHARACTERS: Final = 600


@dataclass(frozen=True, kw_only=True)
class Result:
    """One test that ran."""

    name: str
    state: str
    """`passed`, or a word of the suite's runner such as `failed`, `timedout`, `interrupted`."""
    seconds: float
    message: str = ""

    @property
    def sig(self) -> str:
        """The group whose test it is."""
        found = SIG.search(self.name)
        return found.group(1) if found else "other"


def read_not_run() -> dict[str, str]:
    """Return the tests that are not run, by full name, with the reason."""
    return {entry["name"]: entry["reason"] for entry in tomllib.loads(LIST.read_text()).get("test", [])}


def read_results(report: Path) -> list[Result]:
    """Return the tests of a report of the suite's runner, without those that it was told to leave out."""
    suites = json.loads(report.read_text())
    specs = [spec for suite in suites for spec in suite.get("SpecReports") or [] if spec["LeafNodeType"] == "It"]
    return [_parse(spec) for spec in specs if spec["State"] not in ("skipped", "pending")]


def _parse(spec: Mapping[str, Any]) -> Result:
    name = " ".join([*(spec.get("ContainerHierarchyTexts") or []), spec["LeafNodeText"]])
    message = (spec.get("Failure") or {}).get("Message", "")
    return Result(name=name, state=spec["State"], seconds=spec["RunTime"] / 1e9, message=message[:MESSAGE_CHARACTERS])


def build_table(results: Sequence[Result], not_run: Iterable[str]) -> str:
    """Return the table by group: tests that ran, passed, failed, were left out, and their seconds."""
    left_out = [Result(name=name, state="", seconds=0) for name in not_run]
    rows = [("GROUP", "RAN", "PASSED", "FAILED", "NOT RUN", "SECONDS OF TESTS")]
    for sig in [*sorted({each.sig for each in [*results, *left_out]}), "all"]:
        own = [each for each in results if sig in (each.sig, "all")]
        passed = sum(each.state == PASSED for each in own)
        absent = sum(sig in (each.sig, "all") for each in left_out)
        seconds = sum(each.seconds for each in own)
        rows.append((sig, str(len(own)), str(passed), str(len(own) - passed), str(absent), f"{seconds:.0f}"))
    return to_table(rows)


def list_failures(results: Sequence[Result]) -> str:
    """Return the tests that did not pass, each with its first words on why."""
    failed = [each for each in results if each.state != PASSED]
    return "\n".join(f"{each.state}: {each.name}\n  {each.message}" for each in failed)
