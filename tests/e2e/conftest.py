"""Fixtures of the end-to-end tests: an embedded host with the node image, and a person who uses it.

They run by `make e2e` only, need root, and take the stack dev of this checkout through its whole life. The files are
numbered because the order is the story: half built; finished, replaced, destroyed; another account, dead; down.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from kinky.errors import CommandError
from tests.e2e import leaks
from tests.e2e.person import Person, machine_lists, meet

STACK = os.environ.get("STACK", "dev")
QUESTIONS = (
    ("get", "virtualmachineinstances,pods", "--output", "wide"),
    ("get", "events", "--sort-by", ".lastTimestamp"),
    ("logs", "--selector", "kubevirt.io=virt-launcher", "--container", "guest-console-log", "--tail", "20", "--prefix"),
)
"""What kubectl is asked on the host when a test fails."""
INNER_QUESTIONS = (
    ("get", "nodes,pods", "--all-namespaces", "--output", "wide"),
    ("get", "events", "--all-namespaces", "--sort-by", ".lastTimestamp"),
)
"""What it is asked of the inner cluster."""


@pytest.fixture(scope="session")
def lists_before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What the machine shows before anything is started."""
    meet(STACK, tmp_path_factory.mktemp("before")).kinky("down", limit_seconds=900)
    return machine_lists()


@pytest.fixture(scope="session")
def person(lists_before: dict[str, set[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """A person with a running embedded host; it is taken down at the end, also after a failure."""
    someone = meet(STACK, tmp_path_factory.mktemp("person"))
    someone.kinky("host", "up", limit_seconds=1800)
    yield someone
    someone.kinky("down", limit_seconds=900)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of what kinky printed, the host namespace and the inner cluster, when a test fails."""
    report = yield
    given = getattr(item, "funcargs", {})
    # Whose stack it is, where the test has one of its own.
    someone = given.get("owner", given.get("person"))
    if report.failed and isinstance(someone, Person):
        for log in sorted(someone.scratch.glob("*.log")):
            report.sections.append((str(log), _tail(log)))
        for kubectl, questions in ((someone.host, QUESTIONS), (someone.kubectl, INNER_QUESTIONS)):
            report.sections += [(" ".join(question), _ask(kubectl, question)) for question in questions]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much `kinky scan` has searched for how many secrets."""
    for line in leaks.FIGURES:
        terminalreporter.write_line(line)


def _ask(kubectl: Callable[..., str], question: tuple[str, ...]) -> str:
    try:
        return kubectl(*question)
    except CommandError as error:
        return str(error)


def _tail(log: Path, lines: int = 60) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
