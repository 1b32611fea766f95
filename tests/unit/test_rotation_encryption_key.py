"""The encryption key (S19): killed at any call and called again, all Secrets stay readable, and the old key goes last.

The fake cluster itself checks, at each boot, write and change of the keys, that every Secret in its etcd can be read by
every API server and by one that boots from what the host holds.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinky.errors import HostError, WaitError
from kinky.keys import encryption_config
from kinky.kube.connection import JsonObject, Reply
from kinky.kube.inner import InnerApi
from kinky.rotation.status import fetch_status
from tests.unit.fake_cluster import PKI, RECORD, FakeCluster, start_cluster
from tests.unit.fake_server import count, read_key_names
from tests.unit.fake_store import decode

ITEM = "encryption-key"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCluster:
    return start_cluster(monkeypatch, tmp_path)


def config(cluster: FakeCluster) -> bytes:
    return decode(cluster.host, PKI)["encryption-config.yaml"]


def planes(cluster: FakeCluster) -> list[str]:
    return list(cluster.site.control_planes)


@pytest.mark.parametrize("number", [1, 3])
def test_a_new_key_takes_over_in_three_rounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int) -> None:
    cluster = start_cluster(monkeypatch, tmp_path, planes=number)
    others = {name: value for name, value in decode(cluster.host, PKI).items() if name != "encryption-config.yaml"}
    assert read_key_names(config(cluster)) == ["key-1"]
    assert cluster.rotate(ITEM)
    assert read_key_names(config(cluster)) == ["key-2"]
    assert set(cluster.stored.values()) == {"key-2"}
    assert cluster.boots == planes(cluster) * 3
    assert all(server.keys == ["key-2"] for server in cluster.servers.values())
    assert others.items() <= decode(cluster.host, PKI).items()
    assert cluster.rotate(ITEM)
    assert read_key_names(config(cluster)) == ["key-3"]


def kill_everywhere(cluster: FakeCluster, *, stride: int = 1) -> Iterator[int]:
    """Rotate again and again, killed at each call in its turn, and called again after each kill."""
    number = 0
    while cluster.kill_at(number := number + stride, lambda: cluster.rotate(ITEM)):
        yield number
        assert cluster.rotate(ITEM)
        assert len(read_key_names(config(cluster))) == 1
        assert set(cluster.stored.values()) == set(read_key_names(config(cluster)))
    assert number > 120


# With three control planes the sub-steps are the same ones, only more of them.
@pytest.mark.parametrize(("number", "stride"), [(1, 1), (3, 7)])
def test_s19_killed_before_any_call_no_secret_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, stride: int
) -> None:
    cluster = start_cluster(monkeypatch, tmp_path, planes=number)
    for _ in kill_everywhere(cluster, stride=stride):
        done = cluster.progress().get(ITEM, {}).get("done", [])
        if "add" in done and "rewrite" not in done:
            assert len(read_key_names(config(cluster))) == 2, "the old key stays until every Secret was rewritten"


def test_the_old_key_is_not_dropped_while_a_secret_needs_it(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API server that somebody brings with other keys writes on with the old one: the count shows it."""
    real = cluster.inner_changed

    def stubborn(method: str, path: str) -> None:
        real(method, path)
        if path == "/api/v1/namespaces/web/secrets/own-0":
            cluster.stored[path] = "key-1"

    cluster.inner.after = stubborn
    with pytest.raises(WaitError, match="every Secret is written with key-2") as caught:
        cluster.rotate(ITEM)
    assert "1 by key-1" in str(caught.value)
    assert "the old key is not dropped" in str(caught.value)
    assert read_key_names(config(cluster)) == ["key-2", "key-1"]
    cluster.inner.after = real
    assert cluster.rotate(ITEM)
    assert set(cluster.stored.values()) == {"key-2"}


def test_it_is_counted_again_just_before_the_drop(cluster: FakeCluster) -> None:
    """A Secret that comes under the old key after the rewrite was recorded is found, and rewritten."""
    path, real = "/api/v1/namespaces/web/secrets/own-0", cluster.host_changed

    def late(method: str, asked: str) -> None:
        real(method, asked)
        if cluster.progress().get(ITEM, {}).get("step") == "drop" and len(read_key_names(config(cluster))) == 2:
            cluster.stored[path] = "key-1"
            cluster.host.after = real

    cluster.host.after = late
    assert cluster.rotate(ITEM)
    assert cluster.stored[path] == "key-2"


@pytest.mark.parametrize("number", [1, 3])
def test_a_server_that_has_not_read_the_new_keys_stops_the_rotation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    """Whichever of the control planes it is, and whichever the published path leads to."""
    cluster = start_cluster(monkeypatch, tmp_path, planes=number)
    real, last = cluster.boot, planes(cluster)[-1]

    def stale(node: str) -> None:
        server = cluster.servers.get(node)
        real(node)
        if server is not None and node == last:
            cluster.servers[node] = server

    monkeypatch.setattr(cluster, "boot", stale)
    with pytest.raises(WaitError, match=f"the API server of {last} has the new keys") as caught:
        cluster.rotate(ITEM)
    assert "the API server runs with configuration" in str(caught.value)
    assert read_key_names(config(cluster)) == ["key-1", "key-2"]


def test_counts_of_another_server_prove_nothing(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.inner.before = lambda _method, _path: None
    with pytest.raises(WaitError, match="every Secret is written") as caught:
        cluster.rotate(ITEM)
    assert "0 of 4 reads were counted" in str(caught.value)


def test_the_counts_of_two_servers_are_not_compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A connection that opens again leads to another control plane, which has counted reads of its own."""
    cluster = start_cluster(monkeypatch, tmp_path, planes=3)
    asked = itertools.count()

    def tell(sent: JsonObject) -> Reply:
        if cluster.asked or cluster.progress()[ITEM]["step"] != "rewrite" or next(asked) % 3 < 2:
            return cluster.tell_metrics(sent)
        other = planes(cluster)[1]
        cluster.servers[other].counts[("from_storage", "key-2:")] = 1000
        return Reply(200, cluster.ask(cluster.site, other, InnerApi.fetch_metrics).encode())

    cluster.inner.answers[("GET", "/metrics")] = tell
    with pytest.raises(WaitError, match="every Secret is written with key-2") as caught:
        cluster.rotate(ITEM)
    assert "by one API server before and by another after" in str(caught.value)


def test_a_lost_record_begins_again_with_the_keys_that_are_there(cluster: FakeCluster) -> None:
    number = 0
    while "rewrite" not in cluster.progress().get(ITEM, {}).get("done", []):
        cluster.kill_at(number := number + 1, lambda: cluster.rotate(ITEM))
    del cluster.host.objects[RECORD]
    cluster.come_up()
    assert read_key_names(config(cluster))[0] == "key-2"
    assert cluster.rotate(ITEM)
    assert len(read_key_names(config(cluster))) == 1


def test_a_control_plane_waits_for_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster = start_cluster(monkeypatch, tmp_path, planes=3)
    vmis = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstances"
    cluster.host.objects[f"{vmis}/dev-control-plane-2"]["status"]["conditions"] = []
    with pytest.raises(WaitError, match="dev-control-plane-2 is Ready before dev-control-plane-0 goes"):
        cluster.rotate(ITEM)
    assert cluster.boots == []
    assert not cluster.down


def test_a_control_plane_goes_only_when_the_others_say_themselves_that_they_are_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the host says of a VM may be a minute old."""
    cluster = start_cluster(monkeypatch, tmp_path, planes=3)
    cluster.unready = {"dev-control-plane-2"}
    with pytest.raises(WaitError, match="say themselves that they are ready before dev-control-plane-0 goes") as caught:
        cluster.rotate(ITEM)
    assert "dev-control-plane-2: /readyz is not 200" in str(caught.value)
    assert cluster.boots == []
    assert not cluster.down
    cluster.unready = set()
    assert cluster.rotate(ITEM)


def test_a_plan_names_three_rounds(cluster: FakeCluster) -> None:
    lines = cluster.plan(ITEM)
    assert lines[-1].endswith("order: dev-control-plane-0, dev-control-plane-0, dev-control-plane-0")
    assert len(lines) == 8


def test_no_key_is_written_down_or_told(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINKY_PROGRESS", "plain")
    secrets = [key.secret for key in encryption_config.parse_encryption_keys(config(cluster))]
    cluster.rotate(ITEM)
    held = encryption_config.parse_encryption_keys(config(cluster))
    told = capsys.readouterr().err + json.dumps(cluster.host.objects[RECORD]) + repr(fetch_status(cluster.site))
    assert not [secret for secret in (*secrets, *(key.secret for key in held)) if secret in told + repr(held)]
    assert held[0].fingerprint in told


def test_a_configuration_that_is_not_ours_is_not_touched(cluster: FakeCluster) -> None:
    path = cluster.host.objects[PKI]
    path["data"]["encryption-config.yaml"] = "e30="
    with pytest.raises(HostError, match="was not written by kinky"):
        encryption_config.parse_encryption_keys(b"{}")


def test_somebody_elses_change_is_not_overwritten(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kinky.kube.host.HostApi.replace", lambda *_args, **_named: False)
    with pytest.raises(HostError, match="was changed by somebody else"):
        cluster.rotate(ITEM)


def test_the_count_is_one_for_each_prefix(cluster: FakeCluster) -> None:
    server = cluster.answering()
    server.counts.clear()
    count(server, "from_storage", "key-1")
    assert server.counts == {("from_storage", "k8s:enc:secretbox:v1:"): 1, ("from_storage", "key-1:"): 1}
