"""What all end-to-end tests share: the order, the embedded host, what is shown of a failure, the time of each file.

They run by `make e2e` only and need root. `vm/` takes the stack dev of this checkout through its whole life in virtual
machines; `container/` and `beside/` do all the rest on container guests, where a cluster is up in a minute.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from kinky.errors import CommandError
from kinky.file_lock import file_lock
from tests.e2e import faults, leaks
from tests.e2e.machine import machine_lists
from tests.e2e.person import STACK, Person, borrow, meet

HERE = Path(__file__).parent
ORDER = ("test_launcher.py", "beside", "container", "vm", "test_down.py", "soak")
"""What fails quickly comes first, and the end of the host last."""
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
KEEP = os.environ.get("KINKY_E2E_KEEP")
"""Set where the host stays for the next run, since it takes minutes to start: a file for what was there before it."""
SECONDS: defaultdict[str, float] = defaultdict(float)
"""How long each file has taken, with its fixtures."""


@pytest.fixture(scope="session")
def lists_before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What the machine shows before anything is started."""
    if not KEEP:
        meet(STACK, tmp_path_factory.mktemp("before")).kinky("down", limit_seconds=900)
        return machine_lists()
    kept = Path(KEEP)
    # Two files run at a time, each in a process of its own.
    with file_lock(kept.with_suffix(".lock")):
        if not kept.is_file():
            kept.write_text(json.dumps({kind: sorted(names) for kind, names in machine_lists().items()}))
    return {kind: set(names) for kind, names in json.loads(kept.read_text()).items()}


@pytest.fixture(scope="session")
def embedded_host(lists_before: dict[str, set[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A running embedded host; it is taken down at the end, also after a failure."""
    someone = meet(STACK, tmp_path_factory.mktemp("host"))
    someone.kinky("host", "up", limit_seconds=1800)
    yield
    if not KEEP:
        someone.kinky("down", limit_seconds=900)


@pytest.fixture(scope="module")
def owner(
    embedded_host: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Person]:
    """The person of a stack of the module's own: its `STACK`, like dev but for its `CHOICES`."""
    stack: str = request.module.STACK
    with borrow(stack, base="dev", scratch=tmp_path_factory.mktemp(stack), changes=request.module.CHOICES) as someone:
        yield someone


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the end-to-end tests into their order, whatever is named on the command line."""
    items.sort(key=_find_turn)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of what kinky printed, the host namespace and the inner cluster, when a test fails."""
    report = yield
    given = getattr(item, "funcargs", {})
    someone = next((each for each in given.values() if isinstance(each, Person)), None)
    if report.failed and someone is not None:
        for log in sorted(someone.scratch.glob("*.log")):
            report.sections.append((str(log), _tail(log)))
        for kubectl, questions in ((someone.host, QUESTIONS), (someone.kubectl, INNER_QUESTIONS)):
            report.sections += [(" ".join(question), _ask(kubectl, question)) for question in questions]
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count the seconds of a test, its setup or its end for its file."""
    SECONDS[report.nodeid.partition("::")[0]] += report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long each file took, what `kinky scan` has searched, and how `kinky why` has named each fault."""
    ours = {file: seconds for file, seconds in SECONDS.items() if file.startswith("tests/e2e/")}
    for file, seconds in ours.items():
        terminalreporter.write_line(f"{seconds:6.0f} s  {file}")
    for line in (*leaks.FIGURES, *faults.NAMED):
        terminalreporter.write_line(line)


def _find_turn(item: pytest.Item) -> int:
    """Return the place of a test in the order; all others come first."""
    below = item.path.relative_to(HERE).parts[0] if item.path.is_relative_to(HERE) else ""
    return ORDER.index(below) if below else -1


def _ask(kubectl: Callable[..., str], question: tuple[str, ...]) -> str:
    try:
        return kubectl(*question)
    except CommandError as error:
        return str(error)


def _tail(log: Path, lines: int = 60) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
