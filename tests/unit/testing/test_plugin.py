"""The plugin as pytest runs it, in a project of somebody else's."""

from __future__ import annotations

from typing import NoReturn

import pytest

from kinky import paths
from kinky.kube.access import HostAccess
from kinky.kube.connection import UnavailableError
from kinky.testing import plugin
from tests.unit.testing.conftest import Machine

TWO_TESTS = """
    def test_one(inner_cluster):
        assert inner_cluster.name.startswith("t-")
        assert inner_cluster.kubeconfig.is_file()

    def test_two(inner_cluster, inner_cluster_factory):
        assert inner_cluster_factory().name != inner_cluster.name
"""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "kinky.testing.plugin", "-p", "no:cacheprovider", *arguments)


def test_a_project_gets_clusters_and_nothing_is_left(machine: Machine, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TWO_TESTS)
    pytester.makeconftest('pytest_plugins = ["kinky.testing.plugin"]')
    result = pytester.runpytest_inprocess("--kinky-ttl", "20m", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)
    result.stderr.fnmatch_lines(
        ["kinky: making inner cluster t-*-0 (*kinky-up.log)", "kinky: inner cluster t-*-0 is ready"]
    )
    assert machine.commands == ["up", "up", "lease end", "lease end"]
    assert machine.left() == []


def test_a_run_without_a_cluster_touches_nothing(machine: Machine, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(): pass")
    run(pytester).assert_outcomes(passed=1)
    assert (machine.commands, machine.host.calls) == ([], [])


@pytest.mark.parametrize("ttl", ["0m", "soon", "365d"])
def test_a_time_that_cannot_be_ends_the_run_before_it_begins(
    machine: Machine, pytester: pytest.Pytester, ttl: str
) -> None:
    pytester.makepyfile(TWO_TESTS)
    result = run(pytester, "--kinky-ttl", ttl)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --kinky-ttl: '{ttl}' must be a time from 5m to 7d*"])
    assert machine.commands == []


def test_a_cluster_that_cannot_be_made_is_one_clear_error(machine: Machine, pytester: pytest.Pytester) -> None:
    machine.failing = "up"
    pytester.makepyfile(TWO_TESTS)
    result = run(pytester)
    result.assert_outcomes(errors=2)
    text = result.stdout.str()
    assert "the host does not fit" in text
    assert "factory.py" not in text, "no traceback of ours"
    assert machine.left() == []


FAILING_TESTS = """
    import pytest

    @pytest.mark.parametrize("value", ["a/b", "c", "d", "e"])
    def test_fails(inner_cluster, value):
        assert value == "never"

    def test_without_a_cluster():
        assert False
"""


def test_the_first_failures_have_a_bundle_each(machine: Machine, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILING_TESTS)
    result = run(pytester, "--kinky-artifacts", "kept")
    result.assert_outcomes(failed=5)
    assert machine.commands == ["up", "bundle", "bundle", "bundle", "lease end"]
    folders = [arguments[0] for arguments in machine.arguments if arguments]
    assert len({*folders}) == 3 and folders[0].endswith("-test_fails-a-b")
    result.stdout.fnmatch_lines(["*inner cluster*", "bundle: *kept/t-*/bundle-*-test_fails-a-b"])


def test_a_bundle_that_fails_hides_no_failure(machine: Machine, pytester: pytest.Pytester) -> None:
    machine.failing = "bundle"
    pytester.makepyfile(FAILING_TESTS)
    result = run(pytester)
    result.assert_outcomes(failed=5)
    result.stdout.fnmatch_lines(["E*AssertionError: *", "no bundle of inner cluster t-*: bundle failed*"])


def test_an_up_that_fails_has_a_bundle(machine: Machine, pytester: pytest.Pytester) -> None:
    machine.failing = "up"
    pytester.makepyfile(TWO_TESTS)
    run(pytester).assert_outcomes(errors=2)
    assert machine.commands[:2] == ["up", "bundle"]


def test_an_interrupted_run_leaves_nothing(machine: Machine, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(inner_cluster): raise KeyboardInterrupt")
    arguments = ("-p", "kinky.testing.plugin", "-p", "no:cacheprovider")
    assert pytester.inline_run(*arguments, no_reraise_ctrlc=True).ret == pytest.ExitCode.INTERRUPTED
    assert machine.left() == []


def test_a_lease_that_ended_under_a_test_is_told_as_that(machine: Machine, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from kinky.errors import HostError

        def test_one(inner_cluster):
            inner_cluster.holder.lost = HostError("inner cluster t has no lease, or its lease has ended")

        def test_two(inner_cluster): pass
        def test_three(): pass
    """)
    result = run(pytester)
    result.assert_outcomes(passed=2, errors=1)
    assert "its lease has ended" in result.stdout.str()


CLIENT_FAILS = """
    import pytest

    def test_one(inner_cluster):
        inner_cluster.name
        lose()
        raise ConnectionError("HTTPSConnectionPool")

    def test_two(inner_cluster): raise ConnectionError("HTTPSConnectionPool")
    def test_three(): raise ConnectionError("of its own")
"""


@pytest.mark.parametrize(("loss", "told"), [("gone", "the host is gone"), ("ended", "its lease has ended")])
def test_each_test_tells_in_a_line_that_the_host_or_the_lease_is_gone(
    machine: Machine, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, loss: str, told: str
) -> None:
    def lose() -> None:
        if loss == "ended":
            machine.host.pass_time(3700)
            return
        monkeypatch.setattr("kinky.kube.host.open_host", refuse)

    def refuse(_access: HostAccess) -> NoReturn:
        raise UnavailableError("the host is gone")

    pytester.makepyfile(CLIENT_FAILS)
    monkeypatch.setattr("builtins.lose", lose, raising=False)
    result = run(pytester)
    result.assert_outcomes(failed=3)
    # Where CI is set, pytest's summary at the end has the whole messages once more.
    text = result.stdout.str().partition("short test summary")[0]
    assert text.count("(the test ended with ConnectionError)") == 2
    assert told in text
    assert text.count("HTTPSConnectionPool") == 0
    assert "of its own" in text


def test_a_failure_on_a_host_that_answers_is_the_tests_own(machine: Machine, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(inner_cluster): assert 1 == 2")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    assert "assert 1 == 2" in result.stdout.str()


def test_failed_tests_keep_the_cluster_on_request(machine: Machine, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(inner_cluster): assert False")
    result = run(pytester, "--kinky-keep", "failed")
    result.assert_outcomes(failed=1)
    result.stderr.fnmatch_lines(["kinky: inner cluster t-* stays until its lease ends: kinky env --stack t-*"])
    assert machine.commands == ["up", "bundle"]


def test_the_plugin_does_not_load_pulumi_before_a_cluster_is_asked_for(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(paths.project_root()))
    pytester.makepyfile("""
        import sys
        def test_one(): assert not [name for name in sys.modules if name.startswith(("pulumi", "kubernetes"))]
    """)
    result = pytester.runpytest_subprocess("-p", plugin.__name__, "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)


XDIST = """
pytest_plugins = ["kinky.testing.plugin"]

from pathlib import Path
from types import SimpleNamespace

from kinky.testing.factory import InnerClusterFactory
from kinky.testing.run import Entry

LOG = Path("log")

def say(line):
    with LOG.open("a") as log:
        log.write(line + "\\n")

def join(self, entry):
    say(f"join {entry.stack}")
    holder = SimpleNamespace(stop=lambda: say("stop"))
    self._used[entry.stack] = SimpleNamespace(name=entry.stack, check=lambda: None, holder=holder)
    return self._used[entry.stack]

def make(self, stack, **_options):
    say(f"make {stack}")
    entry = Entry(stack=stack, namespace="n", is_ready=True)
    self._run.write(entry)
    return join(self, entry)

def remove(self, run, entry):
    say(f"remove {entry.stack}")
    run.drop(entry.stack)

InnerClusterFactory._make, InnerClusterFactory._join, InnerClusterFactory._remove = make, join, remove
"""


@pytest.mark.parametrize(("arguments", "clusters"), [((), 1), (("--kinky-per-worker",), 2)])
def test_processes_of_xdist_share_one_cluster_or_have_one_each(
    arguments: tuple[str, ...], clusters: int, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(paths.project_root()))
    pytester.makeconftest(XDIST)
    pytester.makepyfile("""
        import pytest, time

        @pytest.mark.parametrize("number", range(4))
        def test_one(inner_cluster, number):
            time.sleep(0.2)
            assert inner_cluster.name
    """)
    result = pytester.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider", *arguments)
    result.assert_outcomes(passed=4)
    lines = (pytester.path / "log").read_text().splitlines()
    made = [line.removeprefix("make ") for line in lines if line.startswith("make ")]
    assert len(made) == len(set(made)) == clusters
    assert lines.count("stop") == 2, "each process has held the lease"
    removed = [line.removeprefix("remove ") for line in lines[-clusters:]]
    assert sorted(removed) == sorted(made), "after all processes have ended"
    assert not list((paths.state_dir() / "runs").iterdir())
