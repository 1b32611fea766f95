"""docs/secret-tests.md tells the truth: it has every case of the design, and each test that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from kinky import paths

TESTS = paths.project_root() / "tests"
PAGE = paths.project_root() / "docs" / "secret-tests.md"
CASES = [f"S{number}" for number in range(1, 25)]
REMOVED = {"S2", "S6", "S7", "S8", "S9", "S11"}
"""Cases whose guards a test has to take out."""


def read_rows() -> dict[str, list[str]]:
    """Return the cells of each line of the table, by its case."""
    lines = [line for line in PAGE.read_text().splitlines() if re.match(r"\| S\d", line)]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in rows}


ROWS = read_rows()
NAMED = sorted({name for row in ROWS.values() for name in re.findall(r"`([^`]+)`", row[1])})


@cache
def find_tests(file: Path) -> set[str]:
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}


def exists(name: str) -> bool:
    file, _, test = name.partition("::")
    return (TESTS / file).is_file() and test.startswith("test_") and test in find_tests(TESTS / file)


def test_each_case_has_one_line_with_four_cells() -> None:
    assert list(ROWS) == CASES
    assert [case for case, row in ROWS.items() if len(row) != 3 or not row[0] or "::" not in row[1]] == []


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_is_there(name: str) -> None:
    assert exists(name)


def test_a_test_that_is_not_there_would_be_noticed() -> None:
    file = NAMED[0].partition("::")[0]
    assert not exists(f"{file}::test_that_nobody_has_written")
    assert not exists("unit/test_no_such_file.py::test_a")


def test_a_test_with_the_number_of_a_case_stands_in_its_line() -> None:
    """The other way round: whoever writes a test of a case enters it."""
    written = {
        (f"S{number}", f"{file.relative_to(TESTS)}::{name}")
        for file in TESTS.rglob("test_*.py")
        for name in find_tests(file)
        for number in re.findall(r"(?:^test|(?<=\d))_s(\d+)(?=_)", name)
        if name.startswith("test_") and not re.match(r"test_s\d+_to_s", name)
    }
    assert written
    helpers = ("has_a_plant", "keeps_to_its_kinds", "nothing_is_found", "is_missed", "four_levels_deep_is_found")
    missing = [f"{case}: {name}" for case, name in sorted(written) if name not in ROWS[case][1]]
    assert [line for line in missing if not line.endswith(helpers)] == []


@pytest.mark.parametrize("case", sorted(REMOVED))
def test_the_guard_of_a_case_is_taken_out_by_a_test(case: str) -> None:
    assert "unit/test_guard_removal.py::" in ROWS[case][1]
