"""The way to a living cluster: what it keeps, what it heals, and what it waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinky import paths
from kinky.errors import InterruptedWaitError, KinkyError, WaitError
from kinky.keys import material
from kinky.kube.access import HostAccess, InnerAccess
from kinky.kube.connection import UnavailableError
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.reach import credential, reach
from kinky.reach.reach import Reach
from kinky.retry import Pending
from tests.unit.fake_api import FakeClock, FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
SERVER = "https://x"


class Opened:
    """Remembers each connection to the inner API that was opened, with what it trusts and shows."""

    def __init__(self) -> None:
        self.made: list[tuple[str, bytes, bytes]] = []
        self.connection = FakeConnection(target='inner cluster "dev"')

    def open(self, access: InnerAccess) -> FakeConnection:
        self.made.append((access.server, access.ca_file.read_bytes(), access.credential_file.read_bytes()))
        return self.connection


@pytest.fixture
def opened(host: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> Opened:
    made = Opened()
    monkeypatch.setattr("kinky.kube.inner.open_inner", made.open)
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    return made


def rotate_ca() -> None:
    """Replace the CA on the host, as another machine may do at any time."""
    fresh = material.make_cluster_files("dev")
    material.replace_key_files(HostApi.connect(ACCESS), "dev", lambda _files: fresh)


def test_the_connection_is_kept_as_long_as_nothing_changes(opened: Opened) -> None:
    way = Reach(ACCESS, SERVER)
    assert way.inner() is way.inner()
    assert len(opened.made) == 1


def test_another_ca_on_the_host_opens_another_connection(opened: Opened) -> None:
    way = Reach(ACCESS, SERVER)
    first = way.inner()
    rotate_ca()
    assert way.inner() is not first
    (_, old_ca, old_client), (_, new_ca, new_client) = opened.made
    assert old_ca != new_ca
    assert old_client != new_client


def test_another_credential_opens_another_connection(opened: Opened) -> None:
    way = Reach(ACCESS, SERVER)
    way.inner()
    (paths.stack_dir("dev") / credential.CREDENTIAL_FILE).unlink()
    way.inner()
    assert opened.made[0][2] != opened.made[1][2]


def test_a_ca_that_did_not_change_is_not_written_again(opened: Opened) -> None:
    way = Reach(ACCESS, SERVER)
    way.inner()
    file = paths.stack_dir("dev") / "ca.crt"
    before = file.stat().st_mtime_ns, file.stat().st_ino
    way.inner()
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


def test_another_url_leads_to_the_same_cluster(opened: Opened) -> None:
    way = Reach(ACCESS, SERVER)
    assert way.at("https://y").host() is not None
    way.at("https://y").inner()
    assert [server for server, *_ in opened.made] == ["https://y"]
    assert way.server == SERVER


def test_without_a_url_the_one_that_up_has_left_is_used(opened: Opened) -> None:
    with pytest.raises(KinkyError, match="inner cluster dev: no kubeconfig yet"):
        Reach(ACCESS).inner()
    credential.write_inner_kubeconfig(HostApi.connect(ACCESS), "dev", "https://left", kinky_command="/kinky")
    Reach(ACCESS).inner()
    assert [server for server, *_ in opened.made] == ["https://left"]


def test_a_forward_that_does_not_come_back_is_an_api_that_does_not_answer(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    """So whoever waits for the inner API waits for the forward too, and a single question says where to look."""
    tries: list[str] = []

    def fail_twice(cluster: str, *, wait_seconds: float) -> bool:
        tries.append(cluster)
        if len(tries) < 3:
            raise WaitError("forward: not met in 10 s", hint="see forward.log")
        return True

    monkeypatch.setattr(reach, "ensure_recorded_forward", fail_twice)
    way = Reach(ACCESS, SERVER)
    with pytest.raises(UnavailableError, match=r"see forward\.log"):
        way.inner()
    assert way.ask("answers", lambda _inner: "yes", limit_seconds=60) == "yes"
    assert tries == ["dev"] * 3


def test_an_end_with_ctrl_c_is_no_api_that_does_not_answer(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_cluster: str, *, wait_seconds: float) -> bool:
        raise InterruptedWaitError("interrupted while waiting")

    monkeypatch.setattr(reach, "ensure_recorded_forward", interrupt)
    with pytest.raises(InterruptedWaitError):
        Reach(ACCESS, SERVER).ask("answers", lambda _inner: "yes", limit_seconds=60)


def test_what_is_asked_is_named_with_what_was_seen_last(opened: Opened, clock: FakeClock) -> None:
    def question(_inner: InnerApi) -> str | Pending:
        return Pending("2 of 3")

    with pytest.raises(WaitError, match=r'inner cluster "dev": counts to three: not met in 5 s\n.*2 of 3'):
        Reach(ACCESS, SERVER).ask("counts to three", question, limit_seconds=5)


def test_a_credential_in_its_life_asks_no_host(host: FakeConnection, opened: Opened, tmp_path: Path) -> None:
    way = Reach(ACCESS, SERVER)
    way.inner()
    host.calls.clear()
    assert credential.fetch_exec_credential(way.host, "dev")
    assert host.calls == []
