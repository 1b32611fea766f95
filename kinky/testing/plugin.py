"""The pytest plugin: `inner_cluster` is a real cluster for all tests of a run, `inner_cluster_factory` makes more.

Load it with `pytest_plugins = ["kinky.testing.plugin"]` in the uppermost conftest.py, or `pytest -p
kinky.testing.plugin`. It makes nothing before a test asks for a cluster.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from kinky.config.lease import parse_ttl
from kinky.errors import KinkyError
from kinky.testing.run import Run

if TYPE_CHECKING:
    # Pulumi takes a second, and most runs of pytest make no cluster.
    from kinky.testing.cluster import InnerCluster
    from kinky.testing.factory import InnerClusterFactory

KEEP: Final = ("never", "failed", "always")

WORKER_INPUT: Final = "kinky_run"
"""By this pytest-xdist tells its processes which run they belong to."""
RUN: Final = pytest.StashKey[Run]()
FACTORY: Final = pytest.StashKey["InnerClusterFactory"]()
FIXTURES: Final = frozenset({"inner_cluster", "inner_cluster_factory"})


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; `kinky` in front keeps them apart from other plugins'."""
    group = parser.getgroup("kinky", "inner clusters for tests")
    group.addoption(
        "--kinky-stack", metavar="FILE", help="stack file that the clusters are like (default: the embedded host)"
    )
    group.addoption(
        "--kinky-ttl",
        default="1h",
        metavar="TIME",
        help="time after which the host removes a cluster whose run was killed, 5m to 7d; longer than a cluster "
        "takes to start (default: %(default)s)",
    )
    group.addoption(
        "--kinky-keep",
        choices=KEEP,
        default=KEEP[0],
        help="whether clusters stay after the run, until their leases end (default: %(default)s)",
    )
    group.addoption(
        "--kinky-reuse", metavar="NAME", help="make the cluster of this name, or use it again; it stays after the run"
    )
    group.addoption("--kinky-artifacts", default=".kinky", metavar="DIR", help="folder for logs (default: %(default)s)")
    group.addoption(
        "--kinky-per-worker", action="store_true", help="with pytest-xdist: a cluster for each process, not one for all"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a time that cannot be, before anything is collected."""
    try:
        parse_ttl(config.getoption("--kinky-ttl"))
    except KinkyError as error:
        raise pytest.UsageError(f"--kinky-ttl: {error}") from None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist the name of the run."""
    node.workerinput[WORKER_INPUT] = _find_run(node.config).name


@pytest.fixture(scope="session")
def inner_cluster_factory(request: pytest.FixtureRequest) -> InnerClusterFactory:
    """Return the function that makes one more cluster: `inner_cluster_factory(configuration={...})`."""
    return _find_factory(request.config)


@pytest.fixture(scope="session")
def inner_cluster(inner_cluster_factory: InnerClusterFactory, request: pytest.FixtureRequest) -> InnerCluster:
    """Return a ready cluster that all tests of the run share."""
    apart = request.config.getoption("--kinky-per-worker") and _is_worker(request.config)
    try:
        return inner_cluster_factory() if apart else inner_cluster_factory.shared()
    except KinkyError as error:
        # The error says all; a traceback of ours would say less in more lines.
        pytest.fail(str(error), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Fail a test whose cluster the host is removing, with that as the reason."""
    factory = _find_used(item)
    if factory is not None:
        try:
            factory.check()
        except KinkyError as error:
            pytest.fail(str(error), pytrace=False)
    with _host_is_asked(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Let a test fail with the reason when its host or its lease is gone, and not with what a client makes of that."""
    with _host_is_asked(item):
        return (yield)


@contextlib.contextmanager
def _host_is_asked(item: pytest.Item) -> Iterator[None]:
    """Ask the host when a test fails: if that is away, or the lease has ended, this alone is told."""
    try:
        yield
    except Exception as error:
        reason = _find_reason(item)
        if not reason:
            raise
        told = f"{reason}\n(the test ended with {type(error).__name__})"
        raise pytest.fail.Exception(told, pytrace=False) from None


def _find_reason(item: pytest.Item) -> str:
    """Return why the clusters of a test are away; empty if they are not, or it has none."""
    factory = _find_used(item)
    try:
        if factory is not None:
            factory.ask_host()
    except KinkyError as error:
        return str(error)
    return ""


def _find_used(item: pytest.Item) -> InnerClusterFactory | None:
    """Return the factory if it has begun and the test uses clusters."""
    uses = FIXTURES & set(getattr(item, "fixturenames", ()))
    return item.config.stash.get(FACTORY, None) if uses else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have a bundle written when a test fails that uses a cluster; the failure itself stays as it is."""
    report = yield
    factory = _find_used(item)
    if report.failed and report.when != "teardown" and factory is not None:
        report.sections += [("inner cluster", line) for line in factory.bundle(item.name)]
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take the run's clusters away; the processes of pytest-xdist have ended before the process that started them."""
    config = session.config
    if RUN not in config.stash:
        return
    if _is_worker(config):
        if FACTORY in config.stash:
            config.stash[FACTORY].release()
        return
    for error in _find_factory(config).end(has_failed=bool(session.testsfailed)):
        _tell(config, f"a cluster could not be removed; its lease ends by itself\n{error}")


def _find_run(config: pytest.Config) -> Run:
    if RUN not in config.stash:
        given = getattr(config, "workerinput", {}).get(WORKER_INPUT)
        config.stash[RUN] = Run(given) if given else Run.begin()
    return config.stash[RUN]


def _find_factory(config: pytest.Config) -> InnerClusterFactory:
    if FACTORY not in config.stash:
        from kinky.testing.factory import Choices, InnerClusterFactory
        from kinky.testing.project import use_own_project

        use_own_project()
        stack_file = config.getoption("--kinky-stack")
        choices = Choices(
            stack_file=Path(stack_file).absolute() if stack_file else None,
            ttl=config.getoption("--kinky-ttl"),
            keep=config.getoption("--kinky-keep"),
            reuse=config.getoption("--kinky-reuse"),
            artifacts=Path(config.getoption("--kinky-artifacts")).absolute(),
            tell=lambda line: _tell(config, line),
        )
        config.stash[FACTORY] = factory = InnerClusterFactory(_find_run(config), choices)
        if not _is_worker(config):
            factory.sweep()
    return config.stash[FACTORY]


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _tell(config: pytest.Config, line: str) -> None:
    """Show a line at once, also while pytest captures what tests print."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture is not None else contextlib.nullcontext():
        print(f"\nkinky: {line}", file=sys.stderr, flush=True)  # noqa: T201 - the screen is what it is for
