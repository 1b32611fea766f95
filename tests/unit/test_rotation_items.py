"""What may be rotated where."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kinky.bootstrap.rotation import items
from kinky.bootstrap.rotation.site import Site
from kinky.config.load import load_config
from kinky.errors import HostError
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from tests.unit.fake_api import FakeConnection


@pytest.mark.parametrize("item", items.REPLACING)
@pytest.mark.parametrize("ask", [items.rotate, items.describe])
def test_what_replaces_control_planes_is_refused_where_etcd_would_go_with_them(
    monkeypatch: pytest.MonkeyPatch, item: str, ask: Callable[[Site, str], object]
) -> None:
    host = FakeConnection()
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: host)
    access = HostAccess(kubeconfig="/k", context=None, namespace="ns")
    config = load_config({"cluster": {"name": "dev", "ephemeral": True}, "host": {"embedded": True}}, source="test")
    site = Site(config=config, access=access, server="https://x", host=HostApi.connect(access), kubectl="/bin/kubectl")
    with pytest.raises(HostError, match="cluster dev is ephemeral: its etcd would go with them; nothing was touched"):
        ask(site, item)
    assert host.calls == []


def test_every_item_that_has_rounds_of_control_planes_is_known_to_replace_them() -> None:
    without = {"store-credential", "worker-certificates"}
    assert set(items.BUILDERS) - without == set(items.REPLACING)
