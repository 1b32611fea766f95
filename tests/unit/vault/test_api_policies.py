"""What Vault's policies allow, asked of our own server over HTTPS."""

from __future__ import annotations

import json

import pytest

from tests.unit.vault.conftest import POLICY, Running, prepare, write_role


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
