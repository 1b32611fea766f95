"""What Vault's API answers about engines, auth methods and roles, asked of our own server over HTTPS."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.vault.conftest import Running, prepare, write_role
from tests.vault_server.signer import AUDIENCE, ISSUER, SUBJECT


def test_mounts_are_listed_and_shown(running: Running) -> None:
    body = running.operator.get("sys/mounts").body
    for table in (body, body["data"]):
        assert (table["secret/"]["type"], table["secret/"]["options"]) == ("kv", {"version": "2"})
    assert running.operator.get("sys/auth").data["kinky-dev/"]["type"] == "jwt"
    assert running.operator.get("sys/auth").data["token/"]["type"] == "token"
    asked = running.operator.get("sys/internal/ui/mounts/secret/data/kinky/dev/db").data
    assert (asked["path"], asked["type"], asked["options"]) == ("secret/", "kv", {"version": "2"})


def test_a_taken_path_is_refused(running: Running) -> None:
    again = running.operator.put("sys/mounts/secret", type="kv", options={"version": "2"})
    assert (again.status, again.errors) == (400, "path is already in use at secret/")
    again = running.operator.put("sys/auth/kinky-dev", type="jwt")
    assert (again.status, again.errors) == (400, "path is already in use at kinky-dev/")


def test_an_unknown_type_is_refused(running: Running) -> None:
    assert running.operator.put("sys/auth/other", type="nonsense").status == 400
    assert running.operator.put("sys/mounts/other", type="nonsense").status == 400


def test_what_is_not_mounted(running: Running) -> None:
    answer = running.operator.get("absent/data/a")
    assert answer.status == 404
    assert "no handler for route" in answer.errors
    assert running.operator.get("sys/auth/absent").status == 400
    assert running.operator.get("sys/auth/kinky-dev").data["type"] == "jwt"


def test_a_removed_engine_and_a_removed_method_leave_nothing(fresh: Running) -> None:
    prepare(fresh)
    reader = fresh.log_in(fresh.signer.sign())
    assert reader.get("secret/data/kinky/dev/db").status == 200
    assert fresh.operator.delete("sys/auth/kinky-dev").status == 204
    assert reader.get("auth/token/lookup-self").status == 403
    assert fresh.operator.put("sys/auth/kinky-dev", type="jwt").status == 204
    assert fresh.operator.get("auth/kinky-dev/config").status == 404
    assert fresh.operator.list("auth/kinky-dev/role").status == 404
    assert fresh.operator.delete("sys/mounts/secret").status == 204
    assert fresh.operator.get("secret/data/kinky/dev/db").status == 404


def test_configuration_of_the_method_is_read_back(running: Running) -> None:
    data = running.operator.get("auth/kinky-dev/config").data
    assert [key.strip() for key in data["jwt_validation_pubkeys"]] == [running.signer.public_key.strip()]
    assert data["bound_issuer"] == ISSUER


@pytest.mark.parametrize("keys", [[], ["nonsense"]])
def test_a_configuration_without_a_key_is_refused(running: Running, keys: list[str]) -> None:
    answer = running.operator.put("auth/kinky-dev/config", jwt_validation_pubkeys=keys, bound_issuer=ISSUER)
    assert answer.status == 400
    assert re.search("exactly one of 'jwt_validation_pubkeys'|error parsing public key", answer.errors)


def test_roles_are_read_back_listed_and_deleted(running: Running) -> None:
    write_role(running, "other", clock_skew_leeway=30)
    data = running.operator.get("auth/kinky-dev/role/other").data
    wanted: dict[str, Any] = {
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": [AUDIENCE],
        "bound_subject": SUBJECT,
        "token_policies": ["kinky-dev"],
        "token_ttl": 600,
        "token_max_ttl": 0,
        "clock_skew_leeway": 30,
        "token_no_default_policy": False,
    }
    assert {name: data[name] for name in wanted} == wanted
    assert running.operator.list("auth/kinky-dev/role").data == {"keys": ["kinky-dev", "other"]}
    assert running.operator.delete("auth/kinky-dev/role/other").status == 204
    assert running.operator.get("auth/kinky-dev/role/other").status == 404
    assert running.refused(running.signer.sign(), role="other") == 'role "other" could not be found'


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"bound_audiences": [], "bound_subject": ""}, "must have at least one bound constraint"),
        ({"user_claim": ""}, "a user claim must be defined on the role"),
        ({"role_type": "oidc"}, "'allowed_redirect_uris' must be set"),
    ],
)
def test_a_role_that_binds_nothing_is_refused(running: Running, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        write_role(running, "unbound", **changes)
