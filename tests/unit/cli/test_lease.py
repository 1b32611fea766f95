"""`kinky lease`, `kinky up --ttl`, and what `up`, `destroy` and other commands do after the end of a lease."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinky import names
from kinky.cli import main
from kinky.errors import ConfigError, HostError
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.ownership import lease
from kinky.ownership.record import ensure_record, keep_identity
from kinky.stacks import engine as stack_engine
from kinky.stacks import file as stack_file
from kinky.stacks.inner import find_reach
from tests.unit.fake_lease import JOBS, LeaseHost

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="test", host_uid="h", cluster_id="c")
TEXT = """config:
  kinky:cluster: {name: test, ephemeral: true, lease: {ttl: 10m}}
  kinky:host: {namespace: ns}
  kinky:image: {reference: example.test/node:1}
"""


class FakeEngine:
    """Stands for Pulumi with the state of one cluster."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.made: HostAccess | None = ACCESS

    def exists(self) -> bool:
        return self.made is not None

    def find_made(self) -> HostAccess | None:
        return self.made

    def keep_setting(self, *, key: str, value: str) -> None:
        self.calls.append(f"{key}={value}")

    def forget(self, *, with_copies: bool) -> None:
        assert with_copies, "the copies of a state whose cluster is gone"
        self.calls.append("forget")
        self.made = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**_options: Any) -> Any:
            self.calls.append(name)
            return {}

        return call


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> LeaseHost:
    made = LeaseHost()
    made.add("/api/v1/namespaces", names.NAMESPACE_SYSTEM, metadata={"uid": "h"})
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: made)
    monkeypatch.setattr("kinky.reach.host.find_host", lambda _config: PLAIN)
    return made


PLAIN = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="test")


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "stacks" / "Pulumi.test.yaml"
    file.parent.mkdir()
    file.write_text(TEXT)
    monkeypatch.setattr(stack_file, "stack_path", lambda name: file.with_name(f"Pulumi.{name}.yaml"))
    monkeypatch.setattr("kinky.paths.project_root", lambda: tmp_path)
    return file


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    made = FakeEngine()
    monkeypatch.setattr(stack_engine, "open_engine", lambda _file, **_: made)
    return made


def make_cluster(seconds: int = 600) -> None:
    api = HostApi.connect(ACCESS)
    owners = lease.ensure_lease(api, seconds=seconds, stack="organization/kinky/test", holder="")
    ensure_record(api, "organization/kinky/test", {}, owners=owners)


def test_leases_are_listed_with_their_times(host: LeaseHost, stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["lease", "list", "--stack", "test"]) == 0
    assert "namespace ns has no leases" in capsys.readouterr().err
    make_cluster(seconds=7200)
    host.pass_time(600)
    assert main.main(["lease", "list", "--stack", "test"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["CLUSTER", "STACK", "HOLDER"]
    assert row.split()[:4] == ["test", "organization/kinky/test", "-", "10m"]
    assert row.endswith(("1h 49m", "1h 50m"))
    assert main.main(["lease", "list", "--stack", "test", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["cluster"], told["ttlSeconds"], told["isOver"]) == ("test", 7200, False)


def test_renew_and_end(host: LeaseHost, stack: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    make_cluster()
    assert main.main(["lease", "renew", "--stack", "test", "--ttl", "1d"]) == 0
    assert host.jobs()[0]["spec"]["activeDeadlineSeconds"] in range(86400, 86403)
    assert "the lease of test ends at " in capsys.readouterr().err
    assert main.main(["lease", "end", "--stack", "test"]) == 0
    assert host.left("test") == set()
    assert engine.calls == ["forget"]
    assert "nothing of its cluster is left" in capsys.readouterr().err


@pytest.mark.parametrize("ttl", ["0m", "365d", "soon", "4m", "8d", "-1h", "1h30m", ""])
def test_a_time_that_cannot_be_is_refused_before_the_host_is_asked(
    ttl: str, host: LeaseHost, stack: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["lease", "renew", "--stack", "test", f"--ttl={ttl}"]) == 64
    assert "must be a time from 5m to 7d" in capsys.readouterr().err
    assert main.main(["up", "--stack", "test", f"--ttl={ttl}"]) == 64
    assert f'cluster.lease.ttl = "{ttl}": must be a time from 5m to 7d' in capsys.readouterr().err
    assert (host.calls, engine.calls) == ([], [])


def test_up_keeps_the_time_for_later_commands(host: LeaseHost, stack: Path, engine: FakeEngine) -> None:
    engine.made = None
    assert main.main(["up", "--stack", "test", "--ttl", "2h"]) == 0
    assert engine.calls == ["cluster.lease.ttl=2h", "up", "outputs"]


def test_up_begins_a_new_cluster_after_the_end_and_says_so(
    host: LeaseHost, stack: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cluster()
    assert main.main(["up", "--stack", "test"]) == 0
    assert engine.calls == ["up", "outputs"]
    host.pass_time(601)
    engine.calls.clear()
    assert main.main(["up", "--stack", "test"]) == 0
    assert engine.calls == ["forget", "up", "outputs"]
    assert "its lease has ended, and nothing of its cluster is left" in capsys.readouterr().err


def test_destroy_after_the_end_says_that_there_is_nothing_left(
    host: LeaseHost, stack: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cluster()
    host.pass_time(601)
    assert main.main(["destroy", "--stack", "test"]) == 0
    assert engine.calls == ["forget"]
    assert "nothing of its cluster is left" in capsys.readouterr().err


def test_a_command_after_the_end_says_that_and_writes_nothing(
    host: LeaseHost, stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cluster()
    keep_identity(ACCESS, "organization/kinky/test")
    found = stack_file.read_stack_file("test")
    assert find_reach(found).access.cluster_id == "c"
    host.pass_time(601)
    with pytest.raises(HostError, match="its lease has ended"):
        find_reach(found)


def test_hold_renews_and_hands_on_the_exit_code(
    host: LeaseHost, stack: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_cluster()
    host.pass_time(500)
    assert main.main(["lease", "hold", "--stack", "test", "--", "sh", "-c", "echo $0 $1; exit 7", "a", "--b"]) == 7
    assert capfd.readouterr().out == "a --b\n"
    assert host.jobs()[0]["spec"]["activeDeadlineSeconds"] >= 1100
    assert main.main(["lease", "hold", "--stack", "test"]) == 64
    assert main.main(["lease", "hold", "--stack", "test", "--", "kinky-absent-program"]) == 1
    assert "could not start: kinky-absent-program" in capfd.readouterr().err


def test_a_cluster_without_a_lease_is_not_ended(
    host: LeaseHost, stack: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure_record(HostApi.connect(ACCESS), "organization/kinky/test", {})
    assert main.main(["lease", "end", "--stack", "test"]) == 1
    assert "was made without a lease" in capsys.readouterr().err
    stack.write_text(TEXT.replace(", lease: {ttl: 10m}", ""))
    assert main.main(["up", "--stack", "test", "--ttl", "1h"]) == 1
    assert "was made without a lease, and cannot get one" in capsys.readouterr().err
    assert engine.calls == []
    assert not [call for call in host.calls if call == ("DELETE", f"{JOBS}/test-lease")]
    stack.write_text(TEXT)
    assert main.main(["destroy", "--stack", "test"]) == 0
    assert engine.calls == ["destroy"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("  kinky:controlPlane: {etcdRetain: true}\n", "controlPlane.etcdRetain = true: must be false with"),
        (
            "  kinky:secretsStore: {kind: vault, vault: {address: 'https://vault.example:8200'}}\n",
            'secretsStore.kind = "vault": must not be vault with cluster.lease',
        ),
    ],
)
def test_what_the_host_cannot_remove_is_refused(more: str, told: str, stack: Path) -> None:
    stack.write_text(TEXT.replace("ephemeral: true, ", "").replace("{namespace: ns}", "{embedded: true}") + more)
    stack.write_text(stack.read_text().replace("  kinky:image: {reference: example.test/node:1}\n", ""))
    with pytest.raises(ConfigError) as refused:
        stack_file.read_stack_file("test")
    assert told in str(refused.value)
