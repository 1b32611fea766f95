"""The workers' certificates: new ones under the name that the VM knows, and each worker boots with them in its turn."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from kinky.errors import HostError, WaitError
from kinky.keys import node_credentials
from kinky.kube.host import HostApi
from kinky.rotation.status import fetch_status
from tests.unit.fake_cluster import ACCESS, RECORD, VMIS, VMS, FakeCluster, start_cluster
from tests.unit.fake_store import SECRETS, decode

ITEM = "worker-certificates"
WORKERS = ["dev-worker-0", "dev-worker-1"]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCluster:
    return start_cluster(monkeypatch, tmp_path, workers=2)


def credentials_path(cluster: FakeCluster, worker: str) -> str:
    volumes = cluster.host.objects[f"{VMS}/{worker}"]["spec"]["template"]["spec"]["volumes"]
    return f"{SECRETS}/{volumes[0]['secret']['secretName']}"


def certificates(cluster: FakeCluster) -> list[bytes]:
    return [decode(cluster.host, credentials_path(cluster, worker))["kubelet-client.crt"] for worker in WORKERS]


def test_each_worker_boots_with_new_certificates(cluster: FakeCluster) -> None:
    before, names = certificates(cluster), set(cluster.host.objects)
    vms = json.dumps([cluster.host.objects[f"{VMS}/{worker}"] for worker in WORKERS])
    assert cluster.rotate(ITEM)
    assert cluster.boots == WORKERS
    assert not set(before) & set(certificates(cluster))
    assert json.dumps([cluster.host.objects[f"{VMS}/{worker}"] for worker in WORKERS]) == vms, "Pulumi declares it"
    assert set(cluster.host.objects) - names == {RECORD}


def test_what_pulumi_would_ask_for_is_what_is_there(cluster: FakeCluster) -> None:
    cluster.rotate(ITEM)
    record = node_credentials.ensure_node_credentials(HostApi.connect(ACCESS), "dev", WORKERS[0], "10.96.0.2")
    assert f"{SECRETS}/{record.secret_name}" == credentials_path(cluster, WORKERS[0])
    assert cluster.kill_at(10_000, lambda: cluster.rotate(ITEM)) is False, "and it can be rotated again"


def test_killed_before_any_call_it_goes_on(cluster: FakeCluster) -> None:
    number = 0
    while cluster.kill_at(number := number + 1, lambda: cluster.rotate(ITEM)):
        done = cluster.progress().get(ITEM, {}).get("done", [])
        signed = certificates(cluster) if f"sign/{WORKERS[1]}" in done else []
        assert cluster.rotate(ITEM)
        assert not signed or certificates(cluster) == signed, "what was signed is not signed again"
        assert {*cluster.boots} == {*WORKERS}
        assert len(cluster.boots) <= 2 * len(WORKERS)
        cluster.boots.clear()
    assert number > 40


def test_a_plan_names_the_restarts_in_order(cluster: FakeCluster) -> None:
    lines = cluster.plan(ITEM)
    assert lines[-1] == "restarts, one at a time, in this order: dev-worker-0, dev-worker-1"
    cluster.kill_at(25, lambda: cluster.rotate(ITEM))
    assert cluster.plan(ITEM)[0].startswith("continues what was started at ")


def test_a_worker_that_does_not_come_back_stops_the_rotation(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "come_up", lambda: None)
    with pytest.raises(WaitError, match="dev-worker-0 has a new VM instance") as caught:
        cluster.rotate(ITEM)
    assert "dev-worker-0 has no VM instance" in str(caught.value)
    assert "kinky rotate worker-certificates continues from here" in str(caught.value)
    assert cluster.down == ["dev-worker-0"]
    assert f"{VMIS}/dev-worker-1" in cluster.host.objects


def test_a_node_that_boots_again_by_itself_is_not_replaced_twice(cluster: FakeCluster) -> None:
    """The record names the instance: another one that runs already has read the new certificates."""
    calls = 0

    def died(method: str, path: str) -> None:
        nonlocal calls
        cluster.host_changed(method, path)
        record = str(cluster.progress().get(ITEM, {}).get("notes", {}))
        if "replace/dev-worker-0" in record and not calls:
            calls = 1
            cluster.boot("dev-worker-0")

    cluster.host.after = died
    assert cluster.rotate(ITEM)
    assert cluster.boots == WORKERS


def test_a_vm_without_credentials_is_told(cluster: FakeCluster) -> None:
    cluster.host.objects[f"{VMS}/dev-worker-0"]["spec"] = {}
    with pytest.raises(HostError, match="names no Secret with credentials"):
        cluster.rotate(ITEM)


def test_no_key_is_written_down_or_told(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINKY_PROGRESS", "plain")
    cluster.rotate(ITEM)
    told = capsys.readouterr().err + json.dumps(cluster.host.objects[RECORD]) + repr(fetch_status(cluster.site))
    for worker in WORKERS:
        held: dict[str, Any] = decode(cluster.host, credentials_path(cluster, worker))
        for value in held.values():
            assert value.decode() not in told
            assert base64.b64encode(value).decode() not in told


def test_the_status_tells_of_each_worker(cluster: FakeCluster) -> None:
    found = next(status for status in fetch_status(cluster.site) if status.item == ITEM)
    assert [key.subject for key in found.keys] == [
        credentials_path(cluster, worker).rpartition("/")[2] for worker in WORKERS
    ]
    assert all(key.made_at is not None and len(key.fingerprint) == 12 for key in found.keys)
