"""The key that signs ServiceAccount tokens: accepted everywhere before it signs, the old one accepted long enough.

The fake cluster itself checks, at each boot, that every API server accepts what each other one signs.
"""

from __future__ import annotations

import base64
import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kinky.errors import HostError, WaitError
from kinky.keys.certificates import build_fingerprint, derive_public_key
from kinky.rotation import service_account_key
from kinky.rotation.status import fetch_status
from tests.unit.fake_cluster import PKI, RECORD, FakeCluster, start_cluster
from tests.unit.fake_pods import SYSTEM, watch_tokens
from tests.unit.fake_server import read_public
from tests.unit.fake_store import decode

ITEM = "service-account-key"
LASTING = "/api/v1/namespaces/web/secrets"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCluster:
    return start(monkeypatch, tmp_path)


def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, planes: int = 1, workers: int = 1) -> FakeCluster:
    """Make a cluster whose pods keep the token of their start, and whose store works as long as anybody asks."""
    made = start_cluster(monkeypatch, tmp_path, planes=planes, workers=workers)
    watch_tokens(made, monkeypatch)
    assert made.operator is not None
    made.operator.limit = 100_000
    return made


def public(cluster: FakeCluster) -> list[str]:
    return read_public(decode(cluster.host, PKI)["sa.pub"])


def signing(cluster: FakeCluster) -> str:
    return build_fingerprint(derive_public_key(decode(cluster.host, PKI)["sa.key"]))


def planes(cluster: FakeCluster) -> list[str]:
    return list(cluster.site.control_planes)


def pass_time(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(days=days)

    monkeypatch.setattr(service_account_key, "datetime", Later)


@pytest.mark.parametrize("number", [1, 3])
def test_the_new_key_signs_and_the_old_one_is_accepted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    cluster = start(monkeypatch, tmp_path, planes=number)
    old, config = signing(cluster), decode(cluster.host, PKI)["encryption-config.yaml"]
    assert not cluster.rotate(ITEM)
    new = signing(cluster)
    assert public(cluster) == [new, old]
    assert cluster.boots == planes(cluster) * 2
    assert all((server.signs, server.public) == (new, [new, old]) for server in cluster.servers.values())
    held = decode(cluster.host, PKI)
    assert service_account_key.NEXT_KEY_FILE not in held
    assert held["encryption-config.yaml"] == config


def test_the_old_key_goes_only_after_the_longest_life_of_a_token(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINKY_PROGRESS", "plain")
    assert not cluster.rotate(ITEM)
    capsys.readouterr()
    assert not cluster.rotate(ITEM)
    told = capsys.readouterr().err
    assert "accepted for 364 days more" in told
    assert "--drop-now" in told
    assert len(public(cluster)) == 2
    assert cluster.progress()[ITEM]["waits_until"] > datetime.now(UTC).isoformat()
    pass_time(monkeypatch, 366)
    assert cluster.rotate(ITEM)
    assert public(cluster) == [signing(cluster)]
    assert cluster.boots == planes(cluster) * 3
    assert cluster.progress()[ITEM]["finished_at"]


def test_an_operator_may_drop_it_at_once(cluster: FakeCluster) -> None:
    cluster.drop_now = True
    assert cluster.rotate(ITEM)
    assert public(cluster) == [signing(cluster)]
    assert [server.public for server in cluster.servers.values()] == [public(cluster)]


@pytest.mark.parametrize("number", [1, 3])
def test_no_pod_of_ours_is_refused_after_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int) -> None:
    cluster = start(monkeypatch, tmp_path, planes=number, workers=2)
    cluster.drop_now = True
    assert cluster.rotate(ITEM)
    for node in (*cluster.site.control_planes, *cluster.site.workers):
        assert cluster.inner.calls.count(("DELETE", f"{SYSTEM}/pods/flannel-{node}")) == 1
    assert cluster.boots == planes(cluster) * 3


def test_pods_that_keep_a_token_of_the_old_key_would_be_noticed(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check can fail: a worker is not replaced, and what runs on it has read its token before."""
    monkeypatch.setattr(service_account_key, "build_renewals", lambda *_arguments, **_named: [])
    cluster.drop_now = True
    with pytest.raises(AssertionError, match=r"refuses the token of .*/flannel-dev-worker-0"):
        cluster.rotate(ITEM)


def test_pods_of_others_are_left_alone(cluster: FakeCluster) -> None:
    path = "/api/v1/namespaces/web/pods/own"
    body = deepcopy(cluster.inner.objects[f"{SYSTEM}/pods/flannel-dev-worker-0"])
    body["metadata"] |= {"name": "own", "namespace": "web", "uid": "own"}
    cluster.inner.objects[path] = body
    cluster.drop_now = True
    assert cluster.rotate(ITEM)
    assert ("DELETE", path) not in cluster.inner.calls


def test_a_store_that_does_not_take_the_new_key_keeps_the_old_one(cluster: FakeCluster) -> None:
    assert cluster.operator is not None
    cluster.operator.limit, cluster.drop_now = 0, True
    with pytest.raises(WaitError, match="G2"):
        cluster.rotate(ITEM)
    assert len(public(cluster)) == 2
    cluster.operator.limit = 100
    assert cluster.rotate(ITEM)
    assert len(public(cluster)) == 1


def test_a_store_that_needs_the_old_key_is_told_at_the_end(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, boot = cluster.operator, cluster.boot
    assert operator is not None

    def boot_too(node: str) -> None:
        boot(node)
        operator.limit = 0 if len(public(cluster)) == 1 else 100

    monkeypatch.setattr(cluster, "boot", boot_too)
    cluster.drop_now = True
    with pytest.raises(WaitError, match="G2"):
        cluster.rotate(ITEM)
    assert cluster.progress()[ITEM]["step"] == "prove-alone"


def test_killed_before_any_call_it_goes_on(cluster: FakeCluster) -> None:
    cluster.drop_now = True
    number = 0
    while cluster.kill_at(number := number + 1, lambda: cluster.rotate(ITEM)):
        done = cluster.progress().get(ITEM, {}).get("done", [])
        if "publish" in done and "drop" not in done:
            assert len(public(cluster)) >= 2 or cluster.progress()[ITEM]["step"] == "drop"
        made = signing(cluster) if "sign" in done else ""
        assert cluster.rotate(ITEM)
        assert not made or signing(cluster) == made, "what signs is not replaced again"
        assert public(cluster) == [signing(cluster)]
        assert service_account_key.NEXT_KEY_FILE not in decode(cluster.host, PKI)
    assert number > 90


def test_killed_with_three_control_planes_no_token_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster = start(monkeypatch, tmp_path, planes=3)
    cluster.drop_now = True
    number = 0
    while cluster.kill_at(number := number + 11, lambda: cluster.rotate(ITEM)):
        assert cluster.rotate(ITEM)
        assert public(cluster) == [signing(cluster)]


def test_one_that_waits_holds_up_no_other_rotation(cluster: FakeCluster) -> None:
    assert not cluster.rotate(ITEM)
    keys = public(cluster)
    assert cluster.rotate("encryption-key")
    assert public(cluster) == keys
    assert cluster.plan(ITEM)[1].startswith("nothing to do before 20")
    cluster.drop_now = True
    assert cluster.rotate(ITEM)


def test_tokens_without_an_end_are_named(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    header = base64.urlsafe_b64encode(b'{"kid": "old"}').decode()
    token = base64.b64encode(f"{header}.e30.x".encode()).decode()
    kind = service_account_key.LASTING_TYPE
    cluster.inner.add(LASTING, "robot", type=kind, data={"token": token})
    cluster.inner_changed("POST", LASTING)
    cluster.rotate(ITEM)
    pass_time(monkeypatch, 366)
    with pytest.raises(HostError, match="1 Secrets hold tokens of the old key that never end") as caught:
        cluster.rotate(ITEM)
    assert "web/robot" in str(caught.value)
    assert len(public(cluster)) == 2
    cluster.drop_now = True
    assert cluster.rotate(ITEM)


def test_a_server_that_publishes_other_keys_stops_the_rotation(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cluster.boot

    def stale(node: str) -> None:
        server = cluster.servers[node]
        real(node)
        cluster.servers[node] = server

    monkeypatch.setattr(cluster, "boot", stale)
    with pytest.raises(WaitError, match="the API server of dev-control-plane-0 has the new keys") as caught:
        cluster.rotate(ITEM)
    assert "the API server publishes" in str(caught.value)
    assert "sign" not in cluster.progress()[ITEM]["done"]


def test_no_key_is_written_down_or_told(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINKY_PROGRESS", "plain")
    cluster.rotate(ITEM)
    told = capsys.readouterr().err + json.dumps(cluster.host.objects[RECORD]) + repr(fetch_status(cluster.site))
    lines = decode(cluster.host, PKI)["sa.key"].decode().splitlines()[1:-1]
    assert not [line for line in lines if line in told]
    assert "PRIVATE" not in told
    found = next(status for status in fetch_status(cluster.site) if status.item == ITEM)
    assert [key.fingerprint for key in found.keys] == [each[:12] for each in public(cluster)]
    assert [key.subject for key in found.keys] == ["dev-pki signing", "dev-pki accepted"]
