"""docs/status.md tells the truth: every case of the design, each named test, every capability, every rung."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from kinky import paths
from kinky.status.probes import CAPABILITIES
from kinky.why.ladder import RUNGS

TESTS = paths.project_root() / "tests"
PAGE = (paths.project_root() / "docs" / "status.md").read_text()
ROWS = {
    cells[0]: cells[1:]
    for line in PAGE.splitlines()
    if re.match(r"\| T\d", line)
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
NAMED = sorted({name for row in ROWS.values() for name in re.findall(r"`([^`]+::[^`]+)`", row[1])})


@cache
def find_tests(file: Path) -> set[str]:
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_each_case_has_a_line_with_a_test() -> None:
    assert list(ROWS) == [f"T{number}" for number in range(1, 26)]
    assert [case for case, row in ROWS.items() if "::" not in row[1]] == []


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_is_there(name: str) -> None:
    file, _, test = name.partition("::")
    assert test in find_tests(TESTS / file)


def test_a_test_with_the_number_of_a_case_stands_in_its_line() -> None:
    files = [*(TESTS / "unit" / "status").glob("test_*.py"), TESTS / "unit" / "cli" / "test_status.py"]
    written = {(file, name) for file in files for name in find_tests(file)}
    missing = [
        (f"T{number}", name)
        for file, name in written
        for number in re.findall(r"(?<=_t)\d+(?=_)", name.removeprefix("test"))
        if f"{file.relative_to(TESTS)}::{name}" not in ROWS[f"T{number}"][1]
    ]
    assert missing == []


def test_the_page_has_each_capability_and_each_rung() -> None:
    assert [name for name in CAPABILITIES if f"\n| `{name}` |" not in PAGE] == []
    assert ", ".join(name for name, _ in RUNGS) in PAGE
