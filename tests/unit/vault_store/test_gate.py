"""The gate's evidence over a real server: External Secrets is a client that logs in and reads, as the real one does."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kinky.errors import HostError, KinkyError
from kinky.gate import proof as store_proof
from kinky.manifests import secrets_store
from kinky.vault.connection import VaultSilentError
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_reach import FakeReach
from tests.unit.fake_store import CANARIES, set_store, write_metrics
from tests.unit.vault_store.conftest import ACCESS, Site
from tests.unit.vault_store.external_secrets import ExternalSecrets
from tests.vault_server.faults import Fault


@pytest.fixture
def running(
    site: Site, inner: FakeConnection, host: FakeConnection, monkeypatch: pytest.MonkeyPatch
) -> ExternalSecrets:
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    made = ExternalSecrets(site, inner)
    monkeypatch.setattr("kinky.retry.time.monotonic", lambda: made.now)
    monkeypatch.setattr("kinky.retry.time.sleep", made.sleep)
    set_store(inner, "True", "Valid")
    _, canary = secrets_store.build_store(site.config, server=None, ca_bundle=None)
    inner.add(CANARIES, "canary", spec=canary["spec"])
    write_metrics(inner, {"k8s:enc:secretbox:v1:": 12, "key-1:": 12})
    site.store.server.set_up(site.public_keys)
    return made


def prove(running: ExternalSecrets) -> store_proof.StoreRecord:
    probes = secrets_store.build_probes(running.site.config)
    proof = store_proof.ProofSpec(store="kinky", source=running.site.store, probes=probes)
    return store_proof.prove_store(FakeReach(ACCESS, running.inner), proof, limit_seconds=10)


def test_the_evidence_has_seven_items_and_nothing_of_it_stays(running: ExternalSecrets) -> None:
    record = prove(running)
    assert [item.item for item in record.items] == ["G1", "G2", "G3", "G4", "G5", "G6", "G7"]
    root = running.site.root
    assert root.get("secret/data/kinky/dev-decoy").status == 404
    assert not {f"{CANARIES}/unknown", f"{CANARIES}/decoy"} & running.inner.objects.keys()
    nonce = root.get("secret/data/kinky/dev/canary").data["data"]["nonce"]
    assert nonce not in repr(record)


@pytest.mark.parametrize(
    ("fault", "item", "told"),
    [
        (Fault.STALE, "G3: ", "holds an older value"),
        (Fault.ANY_KEY, "G4: ", "kinky-system/unknown got a value from the store"),
        (Fault.WIDE_POLICY, "G5: ", "kinky-system/decoy got a value from the store"),
        (Fault.WRONG_KEY, "G2: ", "Secret kinky-system/canary is not there yet"),
        (Fault.EXPIRED_TOKEN, "G2: ", "your token is not valid, or has expired (403)"),
        (Fault.SEALED, "G2: ", "the server is sealed (503)"),
        (Fault.UNREACHABLE, "G2: ", "it cannot be reached"),
    ],
)
def test_a_store_that_only_seems_to_work_is_no_store(
    running: ExternalSecrets, fault: Fault, item: str, told: str
) -> None:
    with running.site.faults.during(fault), pytest.raises(KinkyError) as caught:
        prove(running)
    assert item in str(caught.value)
    assert told in str(caught.value)


def test_a_role_that_is_too_wide_fails_the_gate(running: ExternalSecrets) -> None:
    role = running.site.root.get("auth/kinky-dev/role/kinky-dev").data
    running.site.root.put("auth/kinky-dev/role/kinky-dev", **{**role, "token_max_ttl": 0, "token_ttl": 0})
    with pytest.raises(HostError, match="G7: ") as caught:
        prove(running)
    assert "allowed are 600 s" in str(caught.value)


def test_a_server_that_is_away_for_a_moment_is_waited_for(running: ExternalSecrets) -> None:
    write, calls = running.site.store.write, 0

    def flaky(name: str, data: Mapping[str, bytes]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise VaultSilentError("it cannot be reached")
        write(name, data)

    running.site.store.write = flaky  # type: ignore[method-assign]
    assert len(prove(running).items) == 7
    assert calls == 3
