"""What the server is told: whose tokens it takes, what these may read, and that all of it goes again."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from kinky import paths
from kinky.errors import KinkyError
from kinky.stores.store import StoreServer
from kinky.stores.vault import VaultStore
from kinky.vault.connection import VaultApi
from tests.unit.vault_store.conftest import Site
from tests.vault_server.faults import Fault
from tests.vault_server.signer import Signer


def server(site: Site) -> StoreServer:
    return site.store.server


def snapshot(site: Site) -> list[object]:
    paths = (
        "sys/auth/kinky-dev",
        "auth/kinky-dev/config",
        "auth/kinky-dev/role/kinky-dev",
        "sys/policies/acl/kinky-dev",
    )
    return [site.root.get(path).body.get("data") for path in paths]


def test_a_login_reads_the_values_by_name_and_nothing_else(site: Site) -> None:
    server(site).set_up(site.public_keys)
    site.store.write("message", {"message": b"hello"})
    site.store.write_decoy({"nonce": b"x"})
    site.root.put("secret/data/other", data={"a": "b"})
    reader = site.log_in()
    assert reader.get("secret/data/kinky/dev/message").data["data"] == {"message": "hello"}
    assert reader.get("secret/data/kinky/dev/unknown").status == 404
    for path in ("secret/data/kinky/dev-decoy", "secret/data/other", "secret/metadata/kinky/dev/message"):
        assert reader.get(path).status == 403, path
    assert reader.list("secret/metadata/kinky/dev").status == 403
    assert reader.put("secret/data/kinky/dev/message", data={"message": "mine"}).status == 403
    told = reader.get("auth/token/lookup-self").data
    assert (told["policies"], told["creation_ttl"]) == (["kinky-dev"], 600)
    assert reader.put("auth/token/revoke-self").status == 204


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["https://kubernetes.default.svc"]},
        {"sub": "system:serviceaccount:web:default"},
        {"sub": "system:serviceaccount:kinky-system:default"},
        {"iss": "https://kubernetes.default.svc.other.local"},
        {"exp": int(time.time()) - 3600},
    ],
)
def test_only_the_token_of_external_secrets_logs_in(site: Site, claims: dict[str, object]) -> None:
    server(site).set_up(site.public_keys)
    site.log_in()
    with pytest.raises(AssertionError, match="error validating token"):
        site.log_in(**claims)


def test_another_cluster_s_key_does_not_log_in(site: Site) -> None:
    server(site).set_up(site.public_keys)
    site.signer = Signer()
    with pytest.raises(AssertionError, match="no known key"):
        site.log_in()


def test_twice_is_as_once_and_writes_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    server(site).set_up(site.public_keys)
    before = snapshot(site)
    written: list[str] = []

    def write(_self: VaultApi, path: str, body: Mapping[str, list[str]], *, what: str) -> dict[str, object]:
        written.append(path)
        return {"data": {asked: ["root"] for asked in body["paths"]}}

    monkeypatch.setattr(VaultApi, "write", write)
    server(site).set_up(site.public_keys)
    assert written == ["sys/capabilities-self"]
    assert snapshot(site) == before


def test_what_somebody_changed_is_put_right(site: Site) -> None:
    server(site).set_up(site.public_keys)
    before = snapshot(site)
    site.root.put("sys/policies/acl/kinky-dev", policy='path "secret/*" { capabilities = ["read"] }')
    site.root.put(
        "auth/kinky-dev/role/kinky-dev", role_type="jwt", user_claim="sub", bound_audiences=["x"], token_ttl="100h"
    )
    server(site).set_up(site.public_keys)
    assert snapshot(site) == before


def test_an_auth_method_of_somebody_else_is_not_taken_over(site: Site) -> None:
    site.root.put("sys/auth/kinky-dev", type="jwt", description="of another cluster")
    site.root.put("auth/kinky-dev/config", jwt_validation_pubkeys=[Signer().public_key])
    before = snapshot(site)
    with pytest.raises(KinkyError, match="auth/kinky-dev takes tokens of somebody else"):
        server(site).set_up(site.public_keys)
    assert snapshot(site) == before


def test_an_auth_method_that_was_mounted_for_it_is_used_and_left(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.root.put("sys/auth/kinky-dev", type="jwt", description="mounted by the team that runs the server")
    server(site).set_up(site.public_keys)
    site.log_in()
    server(site).tear_down()
    assert "left on https://127.0.0.1" in capsys.readouterr().err
    assert site.root.get("sys/auth/kinky-dev").status == 200
    assert site.root.get("auth/kinky-dev/role/kinky-dev").status == 404


def test_the_end_takes_all_of_it_and_no_value_of_others(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    server(site).set_up(site.public_keys)
    site.store.write("message", {"message": b"hello"})
    site.store.put("db", "value", b"x")
    site.store.write_decoy({"nonce": b"x"})
    site.root.put("secret/data/kinky/dev/theirs", data={"a": "b"})
    server(site).tear_down()
    assert site.root.list("secret/metadata/kinky/dev").data["keys"] == ["theirs"]
    assert site.root.get("secret/data/kinky/dev-decoy").status == 404
    assert site.root.get("sys/auth/kinky-dev").status == 400
    assert site.root.get("sys/policies/acl/kinky-dev").status == 404
    told = capsys.readouterr().err
    assert "secret/kinky/dev/theirs, which KinKy did not write" in told
    assert not [*paths.stack_dir("dev").glob("store-ca*")]
    server(site).tear_down()


def test_the_end_of_what_was_never_begun_is_quiet(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    server(site).tear_down()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("fault", [Fault.UNREACHABLE, Fault.SEALED, Fault.FORBIDDEN])
def test_a_server_that_is_away_does_not_hold_up_the_end(
    site: Site, capsys: pytest.CaptureFixture[str], fault: Fault
) -> None:
    server(site).set_up(site.public_keys)
    started = time.monotonic()
    with site.faults.during(fault):
        server(site).tear_down()
    assert time.monotonic() - started < 20
    told = capsys.readouterr().err
    assert "the destroy goes on, and what is left has to be removed there by hand" in told
    assert "auth/kinky-dev with role kinky-dev, policy kinky-dev, secret/kinky/dev/*" in told


def test_a_token_that_may_not_is_told_all_that_it_lacks(site: Site) -> None:
    policy = 'path "secret/data/kinky/dev/*" { capabilities = ["read"] }'
    site.root.put("sys/policies/acl/little", policy=policy)
    created = site.root.put("auth/token/create", policies=["little"])
    site.token_file.write_text(created.body["auth"]["client_token"])
    with pytest.raises(KinkyError, match="your token lacks rights there") as caught:
        server(site).check()
    assert "secret/data/kinky/dev/x: create, update" in caught.value.details
    assert "sys/auth/kinky-dev: create, delete, sudo, update" in caught.value.details
    assert created.body["auth"]["client_token"] not in str(caught.value)


def test_keys_are_published_beside_each_other_and_dropped(site: Site) -> None:
    server(site).set_up(site.public_keys)
    old, new = site.signer, Signer()
    server(site).publish_keys([old.public_key.encode(), new.public_key.encode()])
    for site.signer in (old, new):
        site.log_in()
    server(site).publish_keys([new.public_key.encode()])
    site.log_in()
    site.signer = old
    with pytest.raises(AssertionError, match="no known key"):
        site.log_in()


def test_a_server_without_the_method_cannot_be_told_keys(site: Site) -> None:
    with pytest.raises(KinkyError, match="auth/kinky-dev/config"):
        server(site).check_publishing()
    server(site).set_up(site.public_keys)
    server(site).check_publishing()


def test_opening_asks_nobody(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN_FILE", "/nowhere")
    assert VaultStore(site.target).describe("x").startswith("secret/kinky/dev/x of https://127.0.0.1:")
