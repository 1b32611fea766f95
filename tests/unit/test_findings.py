"""The table from severity to exit code."""

from __future__ import annotations

import pytest

from kinky.exit_codes import ExitCode
from kinky.findings import EXIT_CODES, Finding, Severity, get_exit_code


def find(severity: Severity) -> Finding:
    return Finding(code="gate.closed", severity=severity, subject="the gate", seen="is closed")


@pytest.mark.parametrize(
    ("severities", "code"),
    [
        ([], 0),
        (["fine"], 0),
        (["fine", "warning"], 1),
        (["critical", "warning"], 2),
        (["warning", "unknown"], 3),
        (["unknown", "critical", "fine"], 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst_finding(severities: list[str], code: int) -> None:
    assert get_exit_code([find(Severity(severity)) for severity in severities]) == code


def test_every_severity_has_its_own_exit_code_and_wrong_usage_another() -> None:
    assert EXIT_CODES.keys() == set(Severity)
    assert len({*EXIT_CODES.values(), ExitCode.USAGE}) == len(Severity) + 1


def test_a_finding_is_a_sentence_with_a_hint() -> None:
    assert str(find(Severity.WARNING)) == "WARNING: the gate is closed"
    found = Finding(code="a.b", severity=Severity.CRITICAL, subject="X", seen="is gone", hint="make it")
    assert (found.sentence, str(found)) == ("X is gone", "CRITICAL: X is gone; make it")
