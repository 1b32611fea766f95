"""Two clusters of one name, on two hosts, and one server: neither changes what is the other's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kinky.errors import KinkyError
from kinky.stores import values
from kinky.stores.opening import describe_store, open_store
from kinky.stores.store import Store
from tests.unit.fake_reach import FakeReach
from tests.unit.vault_store.conftest import ACCESS, Site
from tests.vault_server.signer import Signer


@pytest.fixture
def other(site: Site) -> Store:
    """The store of a cluster `dev` on another host."""
    access = replace(ACCESS, host_uid="another-host")
    return open_store(describe_store(site.config), FakeReach(access))


def test_fault_03_the_keys_of_the_first_cluster_stay(site: Site, other: Store) -> None:
    assert site.store.server is not None
    assert other.server is not None
    site.store.server.set_up(site.public_keys)
    with pytest.raises(KinkyError, match="auth/kinky-dev takes tokens of somebody else"):
        other.server.set_up([Signer().public_key.encode()])
    site.log_in()


def test_fault_03_a_value_of_the_first_cluster_stays(site: Site, other: Store) -> None:
    values.put_value(site.store, "dev", "db", key="value", value=b"first")
    with pytest.raises(KinkyError, match='the value "db" was not made by kinky'):
        values.put_value(other, "dev", "db", key="value", value=b"second")
    with pytest.raises(KinkyError, match='the value "db" was not made by kinky'):
        values.delete_value(other, "dev", "db")
    assert site.store.read("db") == {"value": b"first"}


def test_fault_03_the_end_of_the_second_cluster_is_not_that_of_the_first(site: Site, other: Store) -> None:
    assert site.store.server is not None
    assert other.server is not None
    site.store.server.set_up(site.public_keys)
    values.put_value(site.store, "dev", "db", key="value", value=b"first")
    other.server.tear_down()
    site.log_in()
    first = open_store(describe_store(site.config), FakeReach(ACCESS))
    assert first.read("db") == {"value": b"first"}
