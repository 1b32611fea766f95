"""The list of conformance tests that are not run, and how a report of the suite is read."""

import json
from pathlib import Path

from tests.conformance import report
from tests.conformance.report import Result, build_table, list_failures, read_not_run, read_results

NOT_RUN = 3
"""Lower it when the list shrinks; a longer list is a step back that needs a decision."""


def test_the_list_of_tests_that_are_not_run_does_not_grow() -> None:
    listed = read_not_run()
    assert len(listed) == NOT_RUN
    assert len(listed) == report.LIST.read_text().count("[[test]]"), "a test is listed twice"
    assert all(name.endswith("[Conformance]") and reason for name, reason in listed.items())


def spec(name: str, state: str, *, kind: str = "It", message: str = "") -> dict[str, object]:
    failure = {"Failure": {"Message": message}} if message else {}
    return {
        "LeafNodeType": kind,
        "ContainerHierarchyTexts": ["[sig-node] Pods"],
        "LeafNodeText": name,
        "State": state,
        "RunTime": 2_500_000_000,
        **failure,
    }


def test_a_report_gives_what_ran_and_nothing_else(tmp_path: Path) -> None:
    specs = [spec("run", "passed"), spec("stop", "timedout", message="too slow"), spec("wait", "skipped")]
    file = tmp_path / "report.json"
    file.write_text(json.dumps([{"SpecReports": [*specs, spec("", "passed", kind="BeforeSuite")]}, {}]))
    assert read_results(file) == [
        Result(name="[sig-node] Pods run", state="passed", seconds=2.5),
        Result(name="[sig-node] Pods stop", state="timedout", seconds=2.5, message="too slow"),
    ]


def test_the_table_counts_by_group_and_each_failure_is_named() -> None:
    results = [
        Result(name="[sig-node] a", state="passed", seconds=1),
        Result(name="[sig-node] b", state="failed", seconds=2, message="why"),
        Result(name="[sig-apps] c", state="passed", seconds=4),
    ]
    lines = build_table(results, ["[sig-network] d"]).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["sig-apps", "1", "1", "0", "0", "4"],
        ["sig-network", "0", "0", "0", "1", "0"],
        ["sig-node", "2", "1", "1", "0", "3"],
        ["all", "3", "2", "1", "1", "7"],
    ]
    assert list_failures(results) == "failed: [sig-node] b\n  why"
