"""Before anything is touched the program looks at the server; a cluster that is there is not kept from its repair."""

from __future__ import annotations

import pytest

from kinky import program
from kinky.config.load import load_config
from kinky.errors import KinkyError
from kinky.kube.host import HostApi
from kinky.ownership import record
from kinky.reach.reach import Reach
from kinky.stores.opening import describe_store
from tests.unit.fake_api import FakeConnection
from tests.unit.vault_store.conftest import ACCESS, Site
from tests.vault_server.faults import Fault


def check(site: Site) -> list[str]:
    return program.check_store(describe_store(site.config), Reach(ACCESS, ""))


def test_a_server_that_can_be_used_is_no_news(site: Site, host: FakeConnection) -> None:
    assert check(site) == []
    assert host.calls == []


def test_a_new_cluster_is_refused_without_its_server(site: Site, host: FakeConnection) -> None:
    with site.faults.during(Fault.SEALED), pytest.raises(KinkyError, match="the server is sealed"):
        check(site)
    assert host.objects == {}


def test_a_cluster_that_is_there_gets_a_warning(site: Site, host: FakeConnection) -> None:
    record.ensure_record(HostApi.connect(ACCESS), "organization/kinky/dev", {})
    with site.faults.during(Fault.UNREACHABLE):
        (warning,) = check(site)
    assert "it cannot be reached" in warning and "\n" not in warning


def test_other_kinds_ask_nobody(host: FakeConnection) -> None:
    config = load_config({"cluster": {"name": "dev"}, "host": {"embedded": True}}, source="test")
    assert program.check_store(describe_store(config), Reach(ACCESS, "")) == []
    assert host.calls == []
