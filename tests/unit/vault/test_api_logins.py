"""Which JWTs Vault's API lets in, asked of our own server over HTTPS."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.unit.vault.conftest import Running, prepare, write_role
from tests.vault_server.signer import AUDIENCE, ISSUER, SUBJECT, Signer

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


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
