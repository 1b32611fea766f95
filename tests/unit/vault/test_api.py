"""What Vault's API answers, asked of our own server over HTTPS."""

from __future__ import annotations

import pytest

from tests.unit.vault.conftest import Running, prepare


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
