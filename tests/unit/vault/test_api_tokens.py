"""How long Vault's tokens live, asked of our own server over HTTPS."""

from __future__ import annotations

import time

from kinky import retry
from tests.unit.vault.conftest import Running, write_role


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
