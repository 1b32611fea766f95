"""What `up`, `outputs`, `destroy` and `down` do with an engine that answers as told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from kinky import paths
from kinky.cli import main
from kinky.embedded import host
from kinky.errors import KinkyError
from kinky.forming import pending
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.stacks import engine as stack_engine
from kinky.stacks import inner
from kinky.stacks.file import StackFile, read_stack_file
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_reach import FakeReach

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="kinky-dev", cluster="dev")


class FakeEngine:
    """Stands for Pulumi; writes down what was asked."""

    def __init__(self, *, exists: bool = True, failing: str = "") -> None:
        self.calls: list[str] = []
        self._exists = exists
        self._failing = failing

    def exists(self) -> bool:
        return self._exists

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**options: Any) -> Any:
            if name == "find_made":
                return None
            self.calls.append(name)
            if name == self._failing:
                raise KinkyError(f"pulumi {name} failed")
            return {"endpoint": "https://127.0.0.1:1", "nodes": [{"name": "dev-worker-0"}]} if name == "outputs" else {}

        return call


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeEngine]:
    """Return a function that puts a fake engine in place."""

    def use(*, waiting: Sequence[pending.PendingRestart] = (), **options: Any) -> FakeEngine:
        engine = FakeEngine(**options)

        def open_engine(stack_file: StackFile, *, take_over: bool = False, verbose: bool = False) -> FakeEngine:
            return engine

        monkeypatch.setattr(stack_engine, "open_engine", open_engine)
        monkeypatch.setattr(inner, "find_reach", lambda _stack_file: FakeReach(ACCESS))
        monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: FakeConnection())
        monkeypatch.setattr(pending, "fetch_pending", lambda _api: waiting)
        return engine

    return use


def test_up_prints_outputs_as_data_and_use_as_words(
    engines: Callable[..., FakeEngine], capsys: pytest.CaptureFixture[str]
) -> None:
    engines()
    assert main.main(["up", "--stack", "dev", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["endpoint"] == "https://127.0.0.1:1"
    assert 'eval "$(.venv/bin/kinky env --stack dev)"' in printed.err


def test_up_lists_the_nodes_that_wait_for_a_restart(
    engines: Callable[..., FakeEngine], capsys: pytest.CaptureFixture[str]
) -> None:
    engines(waiting=[pending.PendingRestart("dev-worker-0", ("memory 3072 -> 4096 MiB",), loses_etcd=False)])
    assert main.main(["up", "--stack", "dev"]) == 0
    printed = capsys.readouterr().err
    assert "restart pending: dev-worker-0 (memory 3072 -> 4096 MiB)\n" in printed
    assert "kubectl --kubeconfig /k -n kinky-dev delete vmi dev-worker-0" in printed


def test_up_succeeds_although_the_host_does_not_tell_what_waits(
    engines: Callable[..., FakeEngine], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_api: HostApi) -> list[pending.PendingRestart]:
        raise KinkyError("connection refused")

    engines()
    monkeypatch.setattr(pending, "fetch_pending", fail)
    assert main.main(["up", "--stack", "dev"]) == 0
    assert "cannot tell whether a node waits for a restart: connection refused" in capsys.readouterr().err


def test_up_keeps_the_accelerator_for_later_commands(
    engines: Callable[..., FakeEngine], capsys: pytest.CaptureFixture[str]
) -> None:
    engine = engines()
    assert main.main(["up", "--stack", "dev", "--accelerator", "container"]) == 0
    assert engine.calls == ["keep_setting", "up", "outputs"]
    assert "Pulumi.dev.yaml: host.accelerator is container, for later commands too" in capsys.readouterr().err
    engine.calls.clear()
    assert main.main(["up", "--stack", "dev"]) == 0
    assert engine.calls == ["up", "outputs"]


def test_an_accelerator_that_the_stack_cannot_have_is_refused_before_the_file_changes(
    engines: Callable[..., FakeEngine], capsys: pytest.CaptureFixture[str]
) -> None:
    engine = engines()
    assert main.main(["up", "--stack", "prod", "--accelerator", "container"]) != 0
    assert engine.calls == []
    assert 'host.accelerator = "container": needs host.embedded: true' in capsys.readouterr().err


def test_a_setting_is_kept_as_pulumi_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []
    stack = SimpleNamespace(set_config=lambda key, value, *, path: kept.append((key, value.value, value.secret, path)))
    monkeypatch.setattr(stack_engine, "OwnStack", lambda *_: stack)
    workspace: Any = SimpleNamespace(env_vars={"PULUMI_BACKEND_URL": "https://state.example"})
    engine = stack_engine.StackEngine(read_stack_file("dev"), workspace=workspace)
    engine.keep_setting(key="host.accelerator", value="container")
    assert kept == [("kinky:host.accelerator", "container", False, True)]


def test_outputs_one_or_all(engines: Callable[..., FakeEngine], capsys: pytest.CaptureFixture[str]) -> None:
    engines()
    assert main.main(["outputs", "endpoint", "--stack", "dev"]) == 0
    assert capsys.readouterr().out == "https://127.0.0.1:1\n"
    assert main.main(["outputs", "endpiont", "--stack", "dev"]) == 1
    assert "hint: there are: endpoint, nodes" in capsys.readouterr().err


def test_destroy_of_a_stack_that_never_was_is_no_error(engines: Callable[..., FakeEngine]) -> None:
    engine = engines(exists=False)
    assert main.main(["destroy", "--stack", "dev"]) == 0
    assert engine.calls == []


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the embedded host run and be stopped without one; what is called is written down."""
    calls: list[str] = []
    monkeypatch.setattr(host, "status", lambda: host.Status(running=True))
    monkeypatch.setattr(host, "down", lambda *, purge: calls.append(f"down purge={purge}"))
    monkeypatch.setattr("kinky.cli.down.list_stacks", lambda: ["dev", "prod"])
    monkeypatch.setattr("kinky.stacks.forget.forget_salt", lambda path: calls.append(f"forget {path.name}"))
    return calls


def test_down_destroys_stops_and_forgets(engines: Callable[..., FakeEngine], stopped: list[str]) -> None:
    engine = engines()
    (paths.pulumi_backend_dir() / ".pulumi").mkdir()
    assert main.main(["down"]) == 0
    assert engine.calls == ["destroy", "forget"]
    assert stopped == ["down purge=True", "forget Pulumi.dev.yaml"]


def test_down_stops_the_host_even_if_destroy_fails_and_tells(
    engines: Callable[..., FakeEngine], stopped: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    engine = engines(failing="destroy")
    (paths.pulumi_backend_dir() / ".pulumi").mkdir()
    assert main.main(["down"]) == 1
    assert engine.calls == ["destroy", "forget"]
    assert "down purge=True" in stopped
    assert capsys.readouterr().err.endswith("pulumi destroy failed\n")


def test_down_stops_the_host_even_if_a_stack_file_is_wrong_and_tells(
    engines: Callable[..., FakeEngine],
    stopped: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = engines()
    monkeypatch.setattr("kinky.cli.down.list_stacks", lambda: ["absent", "dev"])
    (paths.pulumi_backend_dir() / ".pulumi").mkdir()
    assert main.main(["down"]) == 1
    assert engine.calls == ["destroy", "forget"]
    assert stopped == ["down purge=True", "forget Pulumi.dev.yaml"]
    told = capsys.readouterr().err
    assert told.count('stack "absent": no file stacks/Pulumi.absent.yaml') == 2, "when it is seen, and at the end"


def test_down_without_state_does_not_ask_pulumi(engines: Callable[..., FakeEngine], stopped: list[str]) -> None:
    engine = engines()
    assert main.main(["down"]) == 0
    assert engine.calls == []
    assert stopped == ["down purge=True"]
