"""Values on the server: written, listed and removed as those of every other kind of store, and proved by a login."""

from __future__ import annotations

import hashlib

import pytest

from kinky.errors import KinkyError
from kinky.kube.inner import InnerApi
from kinky.stores import values
from tests.unit.fake_api import FakeConnection
from tests.unit.vault_store.conftest import Site
from tests.vault_server.faults import Fault


def put(site: Site, name: str, value: bytes, *, key: str = "value") -> values.Change:
    return values.put_value(site.store, "dev", name, key=key, value=value)


def test_set_list_and_rm(site: Site) -> None:
    fingerprint = hashlib.sha256(b"hunter2\n").hexdigest()[:12]
    change = put(site, "db", b"hunter2\n")
    assert (change.before, change.after) == (None, fingerprint)
    assert change.place == f"secret/kinky/dev/db of {site.server.address}"
    assert put(site, "db", b"me", key="user").before is None
    assert put(site, "db", b"two").before == fingerprint
    assert site.root.get("secret/data/kinky/dev/db").data["data"] == {"value": "two", "user": "me"}
    values.ensure_store_value(site.store, "message", key="message")
    site.root.put("secret/data/kinky/dev/theirs", data={"n": 1})
    listed = site.store.fetch_all()
    assert [(value.name, value.made_by) for value in listed] == [
        ("db", "admin"),
        ("message", "program"),
        ("theirs", "somebody else"),
    ]
    assert "two" not in repr(listed) and "hunter2" not in repr(listed)
    values.delete_value(site.store, "dev", "db")
    assert site.root.get("secret/metadata/kinky/dev/db").status == 404, "no version stays behind"
    assert put(site, "db", b"again").before is None


def test_a_value_of_the_program_is_made_once(site: Site) -> None:
    first = values.ensure_store_value(site.store, "message", key="message")
    assert values.ensure_store_value(site.store, "message", key="message") == first
    value = site.root.get("secret/data/kinky/dev/message").data["data"]["message"]
    assert len(value) >= 32 and value not in repr(first)
    site.root.delete("secret/data/kinky/dev/message")
    assert values.ensure_store_value(site.store, "message", key="message") != first, "deleted is not there"


@pytest.mark.parametrize("name", ["message", "theirs"])
def test_what_is_not_the_operator_s_is_neither_set_nor_removed(site: Site, name: str) -> None:
    site.root.put("secret/data/kinky/dev/theirs", data={"value": "x"})
    for act in (lambda: put(site, name, b"mine"), lambda: values.delete_value(site.store, "dev", name)):
        with pytest.raises(KinkyError, match=r"the program's own|was not made by kinky"):
            act()


def test_what_is_no_text_is_refused_and_not_repeated(site: Site) -> None:
    with pytest.raises(KinkyError, match=r"not text \(UTF-8\)") as caught:
        put(site, "db", b"\xff\xfesecret")
    assert "secret\\" not in repr(caught.value) and "fesecret" not in str(caught.value)
    assert site.root.get("secret/metadata/kinky/dev/db").status == 404


def test_g7_is_a_login_as_external_secrets_makes_it(site: Site, inner: FakeConnection) -> None:
    site.store.server.set_up(site.public_keys)
    proof = site.store.check_credential(InnerApi(inner))  # type: ignore[arg-type]
    assert proof == "a login lives for 600 s, and the token for it 600 s"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"token_ttl": "2h", "token_max_ttl": "2h"}, "lives for 7200, allowed are 600 s"),
        ({"token_policies": ["kinky-dev", "wide"]}, "has other policies than its own: wide"),
        ({"token_no_default_policy": False}, "has other policies than its own: default"),
        ({"bound_subject": "somebody"}, "invalid subject"),
    ],
)
def test_g7_is_refuted(site: Site, inner: FakeConnection, change: dict[str, object], expected: str) -> None:
    site.store.server.set_up(site.public_keys)
    role = site.root.get("auth/kinky-dev/role/kinky-dev").data
    site.root.put("auth/kinky-dev/role/kinky-dev", **{**role, **change})
    with pytest.raises(KinkyError, match=expected):
        site.store.check_credential(InnerApi(inner))  # type: ignore[arg-type]


def test_g7_of_a_server_with_another_key(site: Site, inner: FakeConnection) -> None:
    site.store.server.set_up(site.public_keys)
    with site.faults.during(Fault.WRONG_KEY), pytest.raises(KinkyError, match="no known key successfully validated"):
        site.store.check_credential(InnerApi(inner))  # type: ignore[arg-type]
