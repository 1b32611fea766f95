"""What may be rotated where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kinky import paths
from kinky.config.load import load_config
from kinky.errors import HostError
from kinky.kube.access import HostAccess
from kinky.operations.journal import Journal
from kinky.reach.reach import Reach
from kinky.rotation import items
from kinky.rotation.item import Item
from kinky.rotation.items import ITEMS
from kinky.rotation.site import KeySite, build_site
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_cluster import RECORD, start_cluster
from tests.unit.test_keys import leave_files


@pytest.mark.parametrize("item", [item for item in ITEMS.values() if item.replaces_control_planes])
@pytest.mark.parametrize("ask", [items.rotate, items.describe])
def test_what_replaces_control_planes_is_refused_where_etcd_would_go_with_them(
    monkeypatch: pytest.MonkeyPatch, item: Item, ask: Callable[[KeySite, Item], object]
) -> None:
    host = FakeConnection()
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: host)
    access = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
    config = load_config({"cluster": {"name": "dev", "ephemeral": True}, "host": {"embedded": True}}, source="test")
    site = build_site(config, Reach(access))
    with pytest.raises(HostError, match="cluster dev is ephemeral: its etcd would go with them; nothing was touched"):
        ask(site, item)
    assert host.calls == []


@pytest.mark.parametrize("item", ITEMS.values(), ids=list(ITEMS))
def test_the_record_of_an_item_agrees_with_its_sub_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, item: Item
) -> None:
    site = start_cluster(monkeypatch, tmp_path).site
    steps = item.build_steps(site, Journal(site.host, site.cluster, item.operation))
    assert {step.restarts for step in steps if step.restarts} <= {*site.nodes}
    assert item.replaces_control_planes == any(step.restarts in site.control_planes for step in steps)
    at = [next(at for at, step in enumerate(steps) if step.name.startswith(begin)) for begin in item.rounds]
    assert at == sorted(at)
    restarting = {step.name.partition("/")[0] + "/" for step in steps if step.restarts}
    assert not restarting - {*item.rounds} or item.can_drop_now, "each round of restarts is one to be killed in"


@pytest.mark.parametrize("item", ["encryption-key", "service-account-key"])
def test_who_may_open_no_way_to_one_of_several_control_planes_is_refused_before_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, item: str
) -> None:
    """Also to continue: its proofs would wait for a way until their limit."""
    cluster = start_cluster(monkeypatch, tmp_path, planes=3)
    cluster.host.denied.add(("create", "pods/portforward"))
    said = f"cannot rotate {item}: your account is not allowed to create pods/portforward in namespace ns of the host"
    with pytest.raises(HostError, match=said):
        cluster.rotate(item)
    assert RECORD not in cluster.host.objects
    cluster.host.denied.clear()
    cluster.kill_at(60, lambda: cluster.rotate(item))
    assert cluster.progress()[item]["done"]
    cluster.host.denied.add(("create", "pods/portforward"))
    with pytest.raises(HostError, match=said):
        cluster.rotate(item)


def test_the_only_control_plane_is_asked_without_that_right(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster = start_cluster(monkeypatch, tmp_path)
    cluster.host.denied.add(("create", "pods/portforward"))
    assert cluster.rotate("encryption-key")


def test_a_rotation_begins_without_what_a_killed_one_has_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster = start_cluster(monkeypatch, tmp_path)
    left = leave_files(paths.stack_dir("dev"))
    assert cluster.rotate("worker-certificates")
    assert not [path for path in left if path.exists()]
