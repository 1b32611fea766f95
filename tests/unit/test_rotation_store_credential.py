"""The store's token: a new one beside the old, which ends only after the proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kinky.errors import HostError, WaitError
from kinky.kube import resources
from kinky.rotation.items import ITEMS
from kinky.rotation.status import fetch_status
from kinky.stores import secrets_store
from tests.unit.fake_cluster import RECORD, FakeCluster, start_cluster
from tests.unit.fake_store import INNER_SECRETS, SECRETS, decode

ITEM = "store-credential"
TOKEN = f"{INNER_SECRETS}/host-store-token"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCluster:
    made = start_cluster(monkeypatch, tmp_path)
    secrets_store.issue_store_token(made.site.reach, hours=24)
    # The gate's proof asks how long the token lives; the fake's have no expiry.
    monkeypatch.setattr("kinky.stores.host_namespace.check_token_life", lambda _inner, hours: f"{hours} h")
    return made


def anchors(cluster: FakeCluster) -> set[str]:
    return {path.rpartition("/")[2] for path in cluster.host.objects if path.startswith(f"{SECRETS}/dev-token-")}


def notes(cluster: FakeCluster) -> dict[str, Any]:
    return dict(cluster.inner.objects[TOKEN]["metadata"]["annotations"])


def test_a_new_token_takes_over_and_the_old_one_ends(cluster: FakeCluster) -> None:
    before, old = decode(cluster.inner, TOKEN)["token"], notes(cluster)["kinky.dev/bound-to"]
    assert cluster.rotate(ITEM)
    assert decode(cluster.inner, TOKEN)["token"] != before
    assert anchors(cluster) == {notes(cluster)["kinky.dev/bound-to"]}
    assert old not in anchors(cluster)
    assert cluster.boots == []


def test_the_old_token_stays_until_the_new_one_is_proved(cluster: FakeCluster) -> None:
    assert cluster.operator is not None
    cluster.operator.limit = 0
    with pytest.raises(WaitError, match="G2"):
        cluster.rotate(ITEM)
    assert len(anchors(cluster)) == 2
    cluster.operator.limit = 100
    issued = decode(cluster.inner, TOKEN)["token"]
    assert cluster.rotate(ITEM)
    assert decode(cluster.inner, TOKEN)["token"] == issued
    assert len(anchors(cluster)) == 1


def test_killed_before_any_call_it_goes_on(cluster: FakeCluster) -> None:
    assert cluster.operator is not None
    cluster.operator.limit, number = 100_000, 0
    while cluster.kill_at(number := number + 1, lambda: cluster.rotate(ITEM)):
        before = decode(cluster.inner, TOKEN)["token"]
        issued = "issue" in cluster.progress().get(ITEM, {}).get("done", [])
        assert notes(cluster)["kinky.dev/bound-to"] in anchors(cluster), "the token in use is never ended"
        assert cluster.rotate(ITEM)
        assert not issued or decode(cluster.inner, TOKEN)["token"] == before
        assert anchors(cluster) == {notes(cluster)["kinky.dev/bound-to"]}
    assert number > 30


def test_a_dry_run_touches_nothing(cluster: FakeCluster) -> None:
    before = json.dumps(cluster.host.objects), json.dumps(cluster.inner.objects)
    lines = cluster.plan(ITEM)
    assert lines[-1] == "restarts no node"
    assert lines[0] == " 1. a new token is in the inner cluster"
    assert (json.dumps(cluster.host.objects), json.dumps(cluster.inner.objects)) == before


def test_a_token_of_an_earlier_kinky_is_told_to_live_on(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINKY_PROGRESS", "plain")
    del cluster.inner.objects[TOKEN]["metadata"]["annotations"]["kinky.dev/bound-to"]
    cluster.rotate(ITEM)
    assert "the one before was bound to nothing and ends at its own time" in capsys.readouterr().err


def test_nothing_that_is_written_down_or_told_is_a_token(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINKY_PROGRESS", "plain")
    cluster.rotate(ITEM)
    told = capsys.readouterr().err + json.dumps(cluster.host.objects[RECORD]) + repr(fetch_status(cluster.site))
    assert decode(cluster.inner, TOKEN)["token"].decode() not in told


@pytest.mark.parametrize("item", ITEMS)
def test_an_unfit_cluster_is_refused_with_everything_that_is_wrong(cluster: FakeCluster, item: str) -> None:
    del cluster.inner.objects[f"{resources.ROLE_BINDINGS.build_path('kinky-system')}/kinky-gate"]
    del cluster.inner.objects["/api/v1/nodes/dev-worker-0"]
    del cluster.host.objects["/apis/kubevirt.io/v1/namespaces/ns/virtualmachines/dev-worker-0"]
    before = json.dumps(cluster.host.objects)
    with pytest.raises(HostError, match="nothing was touched") as caught:
        cluster.rotate(item)
    for fault in ("dev-worker-0 has no VM", "the gate is closed", "dev-worker-0 is not registered"):
        assert fault in str(caught.value)
    assert json.dumps(cluster.host.objects) == before


def test_another_operation_in_progress_comes_first(cluster: FakeCluster) -> None:
    record = {"started_at": "x", "step": "first", "waits_until": "", "done": [], "notes": {}, "finished_at": ""}
    cluster.host.add("/api/v1/namespaces/ns/configmaps", "dev-operations", data={"upgrade.v1.37": json.dumps(record)})
    with pytest.raises(HostError, match=r"kinky upgrade v1\.37 is still in progress \(step first\)"):
        cluster.rotate(ITEM)


def test_a_record_that_is_none_is_no_fresh_start(cluster: FakeCluster) -> None:
    cluster.host.add("/api/v1/namespaces/ns/configmaps", "dev-operations", data={f"rotate.{ITEM}": "{}"})
    with pytest.raises(HostError, match="holds no record of operations"):
        cluster.rotate(ITEM)
