"""The key that signs tokens is rotated with a server outside that verifies them (S18)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kinky.errors import HostError, KinkyError
from kinky.keys.material import fetch_public_keys
from kinky.manifests import secrets_store
from kinky.operations.journal import Journal
from kinky.rotation.items import ITEMS
from kinky.stores.vault_reader import VaultReader
from tests.unit.fake_cas import watch_cas
from tests.unit.fake_cluster import PKI, FakeCluster, start_cluster
from tests.unit.fake_store import CANARIES, decode
from tests.unit.vault_store.conftest import TOKENS, Site
from tests.unit.vault_store.external_secrets import ExternalSecrets
from tests.vault_server.faults import Fault
from tests.vault_server.signer import Signer

ITEM = "service-account-key"


@pytest.fixture
def cluster(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCluster:
    """A cluster of `up`, whose store is on the site's server."""
    made = start_cluster(monkeypatch, tmp_path)
    made.config = made.config.model_copy(update={"secrets_store": site.config.secrets_store})
    site.store.server.set_up(held(made))
    external = ExternalSecrets(site, made.inner)
    monkeypatch.setattr(made, "operator", external)
    monkeypatch.setattr("time.monotonic", lambda: external.now)
    _, canary = secrets_store.build_store(made.config, server=None, ca_bundle=None)
    made.inner.add(CANARIES, "canary", spec=canary["spec"])
    made.inner.answers[("POST", TOKENS)] = site.issue
    boot = made.boot

    def boot_too(node: str) -> None:
        boot(node)
        site.signer = read_signer(made)

    site.signer = read_signer(made)
    monkeypatch.setattr(made, "boot", boot_too)
    return made


def read_signer(cluster: FakeCluster) -> Signer:
    """What the only API server signs with after a boot: External Secrets logs in with that."""
    return Signer(key=decode(cluster.host, PKI)["sa.key"])


def held(cluster: FakeCluster) -> list[bytes]:
    """The public keys that the host holds."""
    return [key.strip() for key in fetch_public_keys(cluster.site.host, "dev")]


def told(site: Site) -> list[bytes]:
    """The public keys that the server takes."""
    keys = site.root.get("auth/kinky-dev/config").data["jwt_validation_pubkeys"]
    return [str(key).strip().encode() for key in keys]


def test_the_server_knows_a_key_before_any_api_server_signs_with_it(
    cluster: FakeCluster, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = told(site)
    boot, seen = cluster.boot, []

    def watched(node: str) -> None:
        boot(node)
        known = set(told(site))
        assert held(cluster)[0] in known, "an API server signs with a key that the server does not know"
        seen.append(len(known))

    monkeypatch.setattr(cluster, "boot", watched)
    assert not cluster.rotate(ITEM), "the drop waits a year"
    assert seen == [2, 2]
    assert told(site)[0] in first
    cluster.drop_now = True
    assert cluster.rotate(ITEM)
    assert seen == [2, 2, 1]
    assert told(site) == held(cluster)
    assert not set(told(site)) & set(first)


@pytest.mark.parametrize("fault", [Fault.SEALED, Fault.UNREACHABLE, Fault.FORBIDDEN])
def test_s18_a_server_that_cannot_be_told_refuses_it_before_anything_is_touched(
    cluster: FakeCluster, site: Site, fault: Fault
) -> None:
    before, known = json.dumps(cluster.host.objects), told(site)
    with site.faults.during(fault), pytest.raises(HostError, match="nothing was touched") as caught:
        cluster.rotate(ITEM)
    assert "secrets store https://127.0.0.1" in str(caught.value)
    assert json.dumps(cluster.host.objects) == before
    assert cluster.boots == []
    assert told(site) == known


def test_s18_a_token_that_may_not_tell_the_server_refuses_it(cluster: FakeCluster, site: Site) -> None:
    policy = 'path "auth/kinky-dev/*" { capabilities = ["read"] }'
    site.root.put("sys/policies/acl/reader", policy=policy)
    created = site.root.put("auth/token/create", policies=["reader"])
    site.token_file.write_text(created.body["auth"]["client_token"])
    before = json.dumps(cluster.host.objects)
    with pytest.raises(HostError, match="nothing was touched") as caught:
        cluster.rotate(ITEM)
    assert "auth/kinky-dev/config: update" in str(caught.value)
    assert json.dumps(cluster.host.objects) == before


def test_a_server_that_is_lost_in_the_middle_is_told_by_the_next_call(
    cluster: FakeCluster, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = VaultReader.publish_keys

    def fail(_self: VaultReader, _keys: object) -> None:
        raise KinkyError("secrets store https://x: it cannot be reached")

    monkeypatch.setattr(VaultReader, "publish_keys", fail)
    with pytest.raises(KinkyError, match="cannot be reached"):
        cluster.rotate(ITEM)
    assert cluster.boots == [], "no API server has read the new key yet"
    monkeypatch.setattr(VaultReader, "publish_keys", publish)
    cluster.drop_now = True
    assert cluster.rotate(ITEM)
    assert told(site) == held(cluster)


def test_there_is_no_token_to_rotate_and_that_is_said(cluster: FakeCluster) -> None:
    item = ITEMS["store-credential"]
    (step,) = item.build_steps(cluster.site, Journal(cluster.site.host, "dev", item.operation))
    assert step.title.startswith("there is no token to replace: External Secrets asks for a new one at each read")
    assert not step.restarts


def test_new_cas_are_nothing_to_the_server(cluster: FakeCluster, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It verifies tokens by their key; neither it nor the operator's token for it is needed."""
    watch_cas(cluster, monkeypatch)
    before, key = site.root.get("auth/kinky-dev/config").data, held(cluster)
    site.token_file.unlink()
    with site.faults.during(Fault.UNREACHABLE):
        assert cluster.rotate("ca")
    assert site.root.get("auth/kinky-dev/config").data == before
    assert told(site) == held(cluster) == key
