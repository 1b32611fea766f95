"""What Vault's API answers, asked of our own server over HTTPS."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from kinky import retry
from tests.unit.vault.conftest import POLICY, Running, prepare, wait_for_engine, write_role
from tests.vault_server.signer import AUDIENCE, ISSUER, SUBJECT, Signer

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def test_health_and_seal_are_told_to_anybody(running: Running) -> None:
    anybody = running.operator.with_token("")
    health, seal = anybody.get("sys/health"), anybody.get("sys/seal-status")
    assert (health.status, health.body["initialized"], health.body["sealed"], health.body["standby"]) == (
        200,
        True,
        False,
        False,
    )
    assert (seal.status, seal.body["sealed"], seal.body["initialized"], seal.body["type"]) == (
        200,
        False,
        True,
        "shamir",
    )
    assert anybody.get("sys/init").body == {"initialized": True}
    assert (seal.body["t"], seal.body["n"], seal.body["progress"]) == (1, 1, 0)
    assert health.body["version"] == seal.body["version"] == "1.14.8"


def test_a_sealed_server_says_503(fresh: Running) -> None:
    prepare(fresh)
    assert fresh.operator.put("sys/seal").status == 204
    assert fresh.operator.get("sys/health").status == 503
    assert fresh.operator.get("sys/health").body["sealed"] is True
    assert fresh.operator.get("sys/seal-status").body["sealed"] is True
    answer = fresh.operator.get("secret/data/kinky/dev/db")
    assert (answer.status, answer.errors) == (503, "Vault is sealed")
    login = fresh.operator.put("auth/kinky-dev/login", role="kinky-dev", jwt=fresh.signer.sign())
    assert (login.status, login.errors) == (503, "Vault is sealed")


@pytest.mark.parametrize("token", ["", "hvs.nobody"])
def test_nobody_may_nothing(running: Running, token: str) -> None:
    nobody = running.operator.with_token(token)
    for answer in (
        nobody.get("secret/data/kinky/dev/db"),
        nobody.get("auth/token/lookup-self"),
        nobody.get("sys/mounts"),
    ):
        assert (answer.status, answer.errors) == (403, "permission denied")


def test_the_operator_looks_at_the_root_token(running: Running) -> None:
    data = running.operator.get("auth/token/lookup-self").data
    assert {name: data[name] for name in ("policies", "ttl", "expire_time", "type", "orphan", "meta")} == {
        "policies": ["root"],
        "ttl": 0,
        "expire_time": None,
        "type": "service",
        "orphan": True,
        "meta": None,
    }


# KV, version 2


def test_a_value_has_versions_with_times(running: Running) -> None:
    operator, path = running.operator, "secret/data/versions/a"
    first, second = (
        operator.put(path, data={"value": "1"}),
        operator.put(path, data={"value": "2", "more": {"deep": 3}}),
    )
    assert (first.status, first.data["version"], second.data["version"]) == (200, 1, 2)
    assert TIME.fullmatch(first.data["created_time"])
    assert first.data["created_time"] < second.data["created_time"]
    newest, older = operator.get(path), operator.get(f"{path}?version=1")
    assert newest.data["data"] == {"value": "2", "more": {"deep": 3}}
    assert older.data["data"] == {"value": "1"}
    assert newest.data["metadata"] == {
        "version": 2,
        "created_time": second.data["created_time"],
        "deletion_time": "",
        "destroyed": False,
        "custom_metadata": None,
    }
    assert operator.get(f"{path}?version=3").status == 404


def test_every_answer_has_the_envelope(running: Running) -> None:
    body = running.operator.get("secret/data/kinky/dev/db").body
    assert {"request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth"} <= set(
        body
    )


def test_an_absent_value_is_404_without_an_error(running: Running) -> None:
    for answer in (
        running.operator.get("secret/data/kinky/dev/absent"),
        running.operator.get("secret/metadata/kinky/dev/absent"),
        running.operator.list("secret/metadata/kinky/absent"),
    ):
        assert (answer.status, answer.body) == (404, {"errors": []})


def test_metadata_tells_versions_and_takes_labels(running: Running) -> None:
    operator = running.operator
    for value in ("1", "2"):
        operator.put("secret/data/labels/a", data={"value": value})
    assert operator.put("secret/metadata/labels/a", custom_metadata={"managed-by": "kinky"}).status == 204
    data = operator.get("secret/metadata/labels/a").data
    assert data["custom_metadata"] == {"managed-by": "kinky"}
    assert (data["current_version"], data["oldest_version"], sorted(data["versions"])) == (2, 0, ["1", "2"])
    assert set(data["versions"]["1"]) == {"created_time", "deletion_time", "destroyed"}
    assert data["created_time"] == data["versions"]["1"]["created_time"]
    assert {"max_versions", "cas_required", "delete_version_after", "updated_time"} <= set(data)
    assert operator.get("secret/data/labels/a").data["metadata"]["custom_metadata"] == {"managed-by": "kinky"}


def test_a_list_shows_one_level(running: Running) -> None:
    operator = running.operator
    for path in ("tree/b", "tree/a", "tree/sub/x", "tree/sub/y", "tree/a/under"):
        operator.put(f"secret/data/{path}", data={"value": "x"})
    assert operator.list("secret/metadata/tree").data == {"keys": ["a", "a/", "b", "sub/"]}
    assert operator.list("secret/metadata/tree/").data == {"keys": ["a", "a/", "b", "sub/"]}
    assert operator.call("LIST", "secret/metadata/tree/sub").data == {"keys": ["x", "y"]}
    assert "tree/" in operator.list("secret/metadata").data["keys"]


def test_a_deleted_version_is_404_with_its_metadata(running: Running) -> None:
    operator, path = running.operator, "secret/data/deleted/a"
    operator.put(path, data={"value": "1"})
    assert operator.delete(path).status == 204
    answer = operator.get(path)
    assert (answer.status, answer.data["data"]) == (404, None)
    assert TIME.fullmatch(answer.data["metadata"]["deletion_time"])
    assert operator.put("secret/undelete/deleted/a", versions=[1]).status == 204
    assert operator.get(path).data["data"] == {"value": "1"}
    assert operator.put("secret/destroy/deleted/a", versions=[1]).status == 204
    assert operator.get(path).status == 404
    assert operator.get(path).data["metadata"]["destroyed"] is True


def test_a_value_goes_with_its_metadata_and_starts_anew(running: Running) -> None:
    operator = running.operator
    operator.put("secret/data/gone/a", data={"value": "1"})
    operator.put("secret/data/gone/a", data={"value": "2"})
    assert operator.delete("secret/metadata/gone/a").status == 204
    assert operator.get("secret/data/gone/a").status == 404
    assert operator.list("secret/metadata/gone").status == 404
    assert operator.delete("secret/metadata/gone/a").status == 204
    assert operator.put("secret/data/gone/a", data={"value": "3"}).data["version"] == 1


def test_check_and_set(running: Running) -> None:
    operator, path = running.operator, "secret/data/cas/a"
    assert operator.put(path, data={"value": "1"}, options={"cas": 0}).status == 200
    again = operator.put(path, data={"value": "2"}, options={"cas": 0})
    assert (again.status, again.errors) == (400, "check-and-set parameter did not match the current version")
    assert operator.put(path, data={"value": "2"}, options={"cas": 1}).status == 200
    operator.put("secret/metadata/cas/a", cas_required=True)
    missing = operator.put(path, data={"value": "3"})
    assert (missing.status, missing.errors) == (400, "check-and-set parameter required for this call")


def test_old_versions_are_dropped(running: Running) -> None:
    operator = running.operator
    for number in range(12):
        operator.put("secret/data/many/a", data={"value": str(number)})
    data = operator.get("secret/metadata/many/a").data
    assert sorted(map(int, data["versions"])) == [*range(3, 13)]
    assert data["oldest_version"] == 3
    assert operator.get("secret/data/many/a?version=2").status == 404


def test_a_write_without_data_is_refused(running: Running) -> None:
    answer = running.operator.put("secret/data/kinky/dev/db", value="1")
    assert (answer.status, answer.errors) == (400, "no data provided")


def test_the_engine_has_settings(fresh: Running) -> None:
    assert fresh.operator.put("sys/mounts/other", type="kv-v2").status == 204
    wait_for_engine(fresh.operator, "other")
    assert fresh.operator.get("other/config").data == {
        "max_versions": 0,
        "cas_required": False,
        "delete_version_after": "0s",
    }
    assert fresh.operator.put("other/config", max_versions=2).status == 204
    for number in range(4):
        fresh.operator.put("other/data/a", data={"value": str(number)})
    assert sorted(fresh.operator.get("other/metadata/a").data["versions"]) == ["3", "4"]


# mounts and auth methods


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


# logins


def test_a_login_gives_a_token_for_a_time(running: Running) -> None:
    answer = running.operator.with_token("").put("auth/kinky-dev/login", role="kinky-dev", jwt=running.signer.sign())
    auth = answer.body["auth"]
    assert auth["policies"] == auth["token_policies"] == ["default", "kinky-dev"]
    assert (auth["lease_duration"], auth["renewable"], auth["token_type"], auth["orphan"]) == (
        600,
        True,
        "service",
        True,
    )
    assert auth["metadata"] == {"role": "kinky-dev"}
    data = running.operator.with_token(auth["client_token"]).get("auth/token/lookup-self").data
    assert 590 <= data["ttl"] <= 600
    assert (data["creation_ttl"], data["type"], data["renewable"]) == (600, "service", True)
    assert (data["path"], data["display_name"]) == ("auth/kinky-dev/login", f"kinky-dev-{SUBJECT}")
    assert (data["accessor"], data["id"]) == (auth["accessor"], auth["client_token"])
    assert TIME.fullmatch(data["expire_time"])
    assert TIME.fullmatch(data["issue_time"])


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_both_kinds_of_keys_log_in(fresh: Running, algorithm: str) -> None:
    prepare(fresh)
    old, new = fresh.signer, Signer(algorithm)
    assert "error verifying token signature" in fresh.refused(new.sign())
    keys = [old.public_key, new.public_key]
    fresh.operator.put("auth/kinky-dev/config", jwt_validation_pubkeys=keys, bound_issuer=ISSUER)
    for signer in (old, new):
        assert fresh.log_in(signer.sign()).get("secret/data/kinky/dev/db").data["data"] == {"value": "first"}
    fresh.operator.put("auth/kinky-dev/config", jwt_validation_pubkeys=keys[1:], bound_issuer=ISSUER)
    assert "error verifying token signature" in fresh.refused(old.sign())


def test_a_signature_of_another_key_is_refused(running: Running) -> None:
    text = "error validating token: error verifying token signature: no known key successfully validated the token"
    assert text in running.refused(Signer().sign())


def test_tampering_is_refused(running: Running) -> None:
    head, body, tail = running.signer.sign().split(".")
    other = running.signer.sign(sub="system:serviceaccount:web:intruder").split(".")[1]
    for forged in (
        f"{head}.{other}.{tail}",
        f"{head}.{body}.",
        f"{head}.{body}",
        running.signer.sign(algorithm="none"),
    ):
        assert "error verifying token signature" in running.refused(forged) or "error validating" in running.refused(
            forged
        )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"iss": "https://elsewhere"}, "invalid issuer (iss) claim"),
        ({"sub": "system:serviceaccount:web:intruder"}, "invalid subject (sub) claim"),
        ({"aud": ["elsewhere"]}, "invalid audience (aud) claim: audience claim does not match any expected audience"),
        ({"aud": None}, "invalid audience (aud) claim: audience claim does not match any expected audience"),
        ({"iat": None, "nbf": None, "exp": None}, "no issued at (iat), not before (nbf), or expiration time (exp)"),
    ],
)
def test_a_claim_that_is_not_the_bound_one_is_refused(running: Running, changes: dict[str, Any], text: str) -> None:
    assert text in running.refused(running.signer.sign(**changes))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"exp": -70}, "invalid expiration time (exp) claim: token is expired"),
        ({"nbf": 300}, "invalid not before (nbf) claim: token not yet valid"),
        ({"iat": 300, "nbf": 0}, "invalid issued at (iat) claim: token issued in the future"),
        ({"exp": -5}, ""),
        ({"nbf": 50}, ""),
        ({"iat": 50}, ""),
    ],
)
def test_times_count_with_a_minute_of_skew(running: Running, changes: dict[str, int], text: str) -> None:
    now = int(time.time())
    jwt = running.signer.sign(**{name: now + seconds for name, seconds in changes.items()})
    if text:
        assert running.refused(jwt) == f"error validating token: {text}"
    else:
        running.log_in(jwt)


def test_the_skew_can_be_taken_away(running: Running) -> None:
    write_role(running, "strict", clock_skew_leeway=-1)
    assert "token is expired" in running.refused(running.signer.sign(exp=int(time.time()) - 5), role="strict")


def test_what_a_login_lacks(running: Running) -> None:
    anybody = running.operator.with_token("")
    assert anybody.put("auth/kinky-dev/login", jwt=running.signer.sign()).errors == "missing role"
    assert anybody.put("auth/kinky-dev/login", role="kinky-dev").errors == "missing token"
    assert anybody.put("auth/kinky-dev/login", role="x", jwt="a.b.c").errors == 'role "x" could not be found'


def test_one_audience_as_a_string_is_enough(running: Running) -> None:
    running.log_in(running.signer.sign(aud=AUDIENCE))


# policies


def test_a_policy_allows_what_it_says_and_no_more(running: Running) -> None:
    reader = running.log_in(running.signer.sign())
    assert reader.get("secret/data/kinky/dev/db").data["data"] == {"value": "first"}
    assert reader.get("secret/data/kinky/dev/absent").status == 404
    refused = [
        reader.get("secret/data/kinky/dev-decoy"),
        reader.get("secret/data/kinky/dev"),
        reader.get("secret/metadata/kinky/dev/db"),
        reader.list("secret/metadata/kinky/dev"),
        reader.put("secret/data/kinky/dev/db", data={"value": "mine"}),
        reader.put("secret/data/kinky/dev/new", data={"value": "mine"}),
        reader.delete("secret/data/kinky/dev/db"),
        reader.get("sys/mounts"),
        reader.get("sys/policies/acl/kinky-dev"),
        reader.put("sys/policies/acl/kinky-dev", policy=POLICY),
        reader.get("auth/kinky-dev/config"),
        reader.get("absent/data/a"),
    ]
    assert {answer.status for answer in refused} == {403}
    assert {answer.errors for answer in refused} == {"1 error occurred:\n\t* permission denied\n\n"}


def test_a_policy_is_read_back_listed_changed_and_deleted(running: Running) -> None:
    operator = running.operator
    text = json.dumps({"path": {"secret/data/other/*": {"capabilities": ["read"]}}})
    assert operator.put("sys/policies/acl/other", policy=text).status == 204
    assert operator.get("sys/policies/acl/other").data == {"name": "other", "policy": text}
    assert {"default", "kinky-dev", "other", "root"} <= set(operator.list("sys/policies/acl").data["keys"])
    assert operator.delete("sys/policies/acl/other").status == 204
    assert operator.get("sys/policies/acl/other").status == 404
    assert operator.delete("sys/policies/acl/default").status == 400


def test_a_policy_counts_at_once_and_gone_allows_nothing(fresh: Running) -> None:
    prepare(fresh)
    reader = fresh.log_in(fresh.signer.sign())
    fresh.operator.put("sys/policies/acl/kinky-dev", policy='path "secret/data/kinky/*" { capabilities = ["read"] }')
    assert reader.get("secret/data/kinky/dev-decoy").status == 200
    fresh.operator.delete("sys/policies/acl/kinky-dev")
    assert reader.get("secret/data/kinky/dev/db").status == 403
    assert reader.get("auth/token/lookup-self").status == 200


@pytest.mark.parametrize("text", ["nonsense", 'path "a" { capabilities = ["reed"] }', '{"path": 1}'])
def test_a_policy_that_makes_no_sense_is_refused(running: Running, text: str) -> None:
    answer = running.operator.put("sys/policies/acl/broken", policy=text)
    assert answer.status == 400
    assert "failed to parse policy" in answer.errors


@pytest.mark.parametrize(
    ("policy", "allowed", "refused"),
    [
        ('path "secret/data/p/*" { capabilities = ["read"] }', ["p/a", "p/a/b"], ["p", "q"]),
        ('path "secret/data/p*" { capabilities = ["read"] }', ["p", "pq", "p/a"], ["q"]),
        ('path "secret/data/+/a" { capabilities = ["read"] }', ["p/a", "q/a"], ["p/b", "p/q/a"]),
        ('path "secret/data/p/+/x*" { capabilities = ["read"] }', ["p/q/x", "p/q/xy"], ["p/q/y", "p/x"]),
        (
            '# a comment\npath "secret/data/*" { capabilities = ["read"] } // one more\n'
            'path "secret/data/p/*" { capabilities = ["deny"] }\n'
            '/* and\none */ path "secret/data/p/a" {\n  capabilities = ["read", "list",]\n}',
            ["q", "p/a"],
            ["p/b"],
        ),
        (
            'path "secret/data/p/*" { capabilities = ["list"] }\npath "secret/data/p/a" { capabilities = ["read"] }',
            ["p/a"],
            ["p/b"],
        ),
        ('{"path": {"secret/data/p/a": {"capabilities": ["read"]}}}', ["p/a"], ["p/b"]),
    ],
)
def test_the_most_specific_pattern_decides(
    running: Running, policy: str, allowed: list[str], refused: list[str]
) -> None:
    for path in (*allowed, *refused):
        running.operator.put(f"secret/data/{path}", data={"value": "x"})
    assert running.operator.put("sys/policies/acl/patterns", policy=policy).status == 204
    write_role(running, "patterns", token_policies=["patterns"])
    reader = running.log_in(running.signer.sign(), role="patterns")
    assert {path: reader.get(f"secret/data/{path}").status for path in (*allowed, *refused)} == {
        **dict.fromkeys(allowed, 200),
        **dict.fromkeys(refused, 403),
    }


def test_two_policies_add_up(running: Running) -> None:
    running.operator.put("sys/policies/acl/one", policy='path "secret/data/sum/a" { capabilities = ["read"] }')
    running.operator.put("sys/policies/acl/two", policy='path "secret/data/sum/a" { capabilities = ["create"] }')
    write_role(running, "sum", token_policies=["one", "two"])
    someone = running.log_in(running.signer.sign(), role="sum")
    assert someone.put("secret/data/sum/a", data={"value": "1"}).status == 200
    assert someone.get("secret/data/sum/a").status == 200
    assert someone.put("secret/data/sum/a", data={"value": "2"}).status == 403


def test_auth_methods_need_sudo(running: Running) -> None:
    rule = 'path "sys/auth/mine" {{ capabilities = [{}] }}'
    running.operator.put("sys/policies/acl/sudo", policy=rule.format('"create", "update"'))
    write_role(running, "sudo", token_policies=["sudo"])
    someone = running.log_in(running.signer.sign(), role="sudo")
    assert someone.put("sys/auth/mine", type="jwt").status == 403
    running.operator.put("sys/policies/acl/sudo", policy=rule.format('"create", "update", "sudo"'))
    assert someone.put("sys/auth/mine", type="jwt").status == 204
    assert running.operator.delete("sys/auth/mine").status == 204


def test_mounts_are_shown_to_who_reaches_into_them(running: Running) -> None:
    reader = running.log_in(running.signer.sign())
    assert reader.get("sys/internal/ui/mounts/secret").data["type"] == "kv"
    assert reader.get("sys/internal/ui/mounts/absent").status == 403
    write_role(running, "nothing", token_policies=[])
    assert running.log_in(running.signer.sign(), role="nothing").get("sys/internal/ui/mounts/secret").status == 403


def test_a_token_asks_what_it_may(running: Running) -> None:
    reader = running.log_in(running.signer.sign())
    paths = ["secret/data/kinky/dev/db", "secret/data/kinky/dev-decoy"]
    data = reader.put("sys/capabilities-self", paths=paths).data
    assert {path: data[path] for path in paths} == {paths[0]: ["read"], paths[1]: ["deny"]}
    assert running.operator.put("sys/capabilities-self", paths=paths).data[paths[1]] == ["root"]


def test_an_operator_without_the_root_policy_asks_what_it_may(running: Running) -> None:
    rules = {
        "secret/data/kinky/dev/*": ["create", "read", "update"],
        "secret/metadata/kinky/dev/*": ["delete", "list"],
        "sys/auth/kinky-dev": ["create", "delete", "sudo", "update"],
        "sys/auth": ["read"],
    }
    text = json.dumps({"path": {path: {"capabilities": allowed} for path, allowed in rules.items()}})
    running.operator.put("sys/policies/acl/operator", policy=text)
    token = running.operator.put("auth/token/create", policies=["operator"], ttl="1h").body["auth"]["client_token"]
    operator = running.operator.with_token(token)
    asked = {path.replace("*", "x" if "/data/" in path else ""): allowed for path, allowed in rules.items()}
    answer = operator.put("sys/capabilities-self", paths=[*asked]).data
    assert {path: sorted(answer[path]) for path in asked} == asked
    assert operator.list("secret/metadata/kinky/dev/").data == {"keys": ["db"]}
    assert operator.get("sys/auth").data["kinky-dev/"]["type"] == "jwt"


def test_a_token_without_the_default_policy_may_not_look_at_itself(running: Running) -> None:
    write_role(running, "bare", token_no_default_policy=True)
    bare = running.log_in(running.signer.sign(), role="bare")
    assert bare.get("secret/data/kinky/dev/db").status == 200
    assert bare.get("auth/token/lookup-self").status == 403


# lives of tokens


def test_a_token_ends_by_itself_and_not_before(running: Running) -> None:
    write_role(running, "short", token_ttl="2s")
    started = time.monotonic()
    reader = running.log_in(running.signer.sign(), role="short")

    def attempt() -> str | retry.Pending:
        answer = reader.get("secret/data/kinky/dev/db")
        return retry.Pending("lives") if answer.status == 200 else answer.errors

    ended = retry.wait_until(attempt, what="end of the token", deadline_seconds=60, every_seconds=0.2)
    assert ended == "permission denied"
    assert time.monotonic() - started >= 2
    assert reader.get("auth/token/lookup-self").status == 403


def test_a_token_lives_on_when_it_is_renewed_but_not_for_ever(running: Running) -> None:
    write_role(running, "renewed", token_ttl=60, token_max_ttl=90)
    reader = running.log_in(running.signer.sign(), role="renewed")
    auth = reader.put("auth/token/renew-self", increment="80s").body["auth"]
    assert 78 <= auth["lease_duration"] <= 80
    auth = reader.put("auth/token/renew-self", increment=500).body["auth"]
    assert 80 < auth["lease_duration"] <= 90


def test_a_token_ends_itself(running: Running) -> None:
    reader = running.log_in(running.signer.sign())
    assert reader.put("auth/token/revoke-self").status == 204
    assert reader.get("secret/data/kinky/dev/db").status == 403


def test_the_operator_makes_and_ends_tokens(running: Running) -> None:
    auth = running.operator.put("auth/token/create", policies=["kinky-dev"], ttl="1h").body["auth"]
    assert (auth["policies"], auth["lease_duration"], auth["orphan"]) == (["default", "kinky-dev"], 3600, False)
    reader = running.operator.with_token(auth["client_token"])
    assert reader.get("secret/data/kinky/dev/db").status == 200
    assert running.operator.put("auth/token/lookup", token=auth["client_token"]).data["ttl"] <= 3600
    assert running.operator.put("auth/token/revoke", token=auth["client_token"]).status == 204
    assert reader.get("secret/data/kinky/dev/db").status == 403


def test_a_role_that_is_gone_admits_nobody_but_its_tokens_live_on(running: Running) -> None:
    write_role(running, "leaving")
    reader = running.log_in(running.signer.sign(), role="leaving")
    running.operator.delete("auth/kinky-dev/role/leaving")
    assert "could not be found" in running.refused(running.signer.sign(), role="leaving")
    assert reader.get("secret/data/kinky/dev/db").status == 200
