"""What each case renders to is what its files say; KINKY_GOLDEN=write (`make golden`) rewrites them."""

from __future__ import annotations

import os

import pytest

from tests.golden import cases


@pytest.mark.parametrize("case", cases.names_of_cases())
def test_a_case_renders_to_its_golden_files(case: str) -> None:
    if os.environ.get(cases.REWRITE) == "write":
        cases.write_case(case)
    expected, rendered = cases.read_case(case), cases.render_case(case)
    assert sorted(rendered) == sorted(expected)
    for name, text in rendered.items():
        assert text == expected[name], f"{case}/{name} differs; if that is meant: make golden, and read the diff"


def test_there_is_a_case_for_each_stack() -> None:
    assert cases.names_of_cases() == ["ci", "dev", "prod"]
