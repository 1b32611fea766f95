"""Tokens, credentials and encryption with a real API server: what is issued, what ends, what etcd holds."""

from __future__ import annotations

import base64
import json
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from kinky import names
from kinky.gate import drift
from kinky.keys import material
from kinky.kube import resources
from kinky.kube.objects import build_secret
from kinky.kube.resources import Resource
from kinky.reach import credential
from kinky.releases import default_release
from kinky.retry import Pending, wait_until
from kinky.stores import evidence, secrets_store
from tests.api.conftest import Cluster
from tests.api.server import Server

pytestmark = pytest.mark.xdist_group("api")

REVIEWS = Resource("TokenReview", "authentication.k8s.io", "v1", "tokenreviews", namespaced=False)
READER = names.store_reader("dev")
PREFIX = "k8s:enc:secretbox:v1:"


@pytest.fixture
def store(cluster: Cluster) -> Cluster:
    """A host with the store's reader, and with what its controllers would give each namespace."""
    where = cluster.access.namespace
    cluster.inner.apply(resources.NAMESPACES, {"metadata": {"name": names.NAMESPACE_KINKY}})
    metadata = {"name": READER, "labels": names.cluster_labels("dev")}
    cluster.host.create(resources.SERVICE_ACCOUNTS, {"metadata": metadata}, namespace=where)
    bundle = {"ca.crt": material.fetch_ca_bundle(cluster.host, "dev").decode()}
    root = {"metadata": {"name": "kube-root-ca.crt"}, "data": bundle}
    cluster.inner.create(resources.CONFIG_MAPS, root, namespace=where)
    return cluster


def fetch_token(cluster: Cluster) -> str:
    data = cluster.inner.fetch_secret_data(secrets_store.TOKEN_SECRET, namespace=names.NAMESPACE_KINKY)
    assert data is not None
    return data["token"].decode()


def review(cluster: Cluster, token: str) -> str:
    """Return the name under which the API knows the bearer; empty when it refuses the token."""
    reply = cluster.inner._connection.call(
        "POST",
        REVIEWS.build_path(None),
        what="review a token",
        body={"apiVersion": REVIEWS.api_version, "kind": REVIEWS.kind, "spec": {"token": token}},
    )
    status = reply.parse()["status"]
    return str(status.get("user", {}).get("username", "")) if status.get("authenticated") else ""


def test_the_store_s_token_is_issued_once_and_ends_with_its_anchor(store: Cluster) -> None:
    made = secrets_store.ensure_store_token(store.reach, hours=2)
    assert secrets_store.ensure_store_token(store.reach, hours=2) == made
    token = fetch_token(store)
    assert review(store, token) == f"system:serviceaccount:{store.access.namespace}:{READER}"
    expires = evidence.parse_expiry(token.encode())
    assert expires is not None
    assert expires - datetime.now(UTC) < timedelta(hours=2, minutes=1)
    assert not drift.has_ended_token(store.reach)

    secrets_store.issue_store_token(store.reach, hours=2)
    assert secrets_store.revoke_older_tokens(store.host, store.inner, "dev") == 1
    # An API server remembers a token that it has accepted for ten seconds.
    wait_until(
        lambda: Pending("it is accepted") if review(store, token) else True,
        what="the token whose anchor is gone is refused",
        deadline_seconds=30.0,
        every_seconds=0.5,
    )
    assert review(store, fetch_token(store))


def test_a_token_whose_anchor_was_deleted_is_drift(store: Cluster) -> None:
    secrets_store.ensure_store_token(store.reach, hours=2)
    selector = f"{names.LABEL_STORE_ANCHOR}=true"
    for body in store.host.fetch_all_here(resources.SECRETS, selector=selector):
        store.host.delete(resources.SECRETS, body["metadata"]["name"], namespace=store.access.namespace)
    assert drift.has_ended_token(store.reach)


def test_a_credential_is_signed_by_the_ca_of_the_key_secret(cluster: Cluster) -> None:
    inner = cluster.reach.inner()
    assert inner.fetch_user() == f"kinky:{credential.describe_admin()}"
    assert inner.fetch_version() == default_release().kubernetes_version


def test_the_api_publishes_the_keys_of_its_tokens(cluster: Cluster) -> None:
    public = material.fetch_public_keys(cluster.host, "dev")
    assert len(cluster.inner.fetch_token_keys()) == len(public) == 1


def test_a_secret_is_encrypted_in_etcd_and_the_metrics_count_it(cluster: Cluster, api: Server) -> None:
    value = b"a-value-that-etcd-must-not-show"
    before = evidence.parse_written(cluster.inner.fetch_metrics())
    secret = build_secret("canary", {"value": value}, labels={})
    cluster.inner.create(resources.SECRETS, secret, namespace=cluster.access.namespace)
    after = evidence.parse_written(cluster.inner.fetch_metrics())
    # The server counts the provider and the key apart, and nothing without a prefix.
    assert {name for name in after if after[name] > before.get(name, 0)} == {PREFIX, "key-1:"}

    raw = read_etcd(api, f"/registry/secrets/{cluster.access.namespace}/canary")
    assert raw.startswith(f"{PREFIX}key-1:".encode())
    assert value not in raw


def test_the_metrics_tell_the_process_and_the_loaded_keys(cluster: Cluster) -> None:
    metrics = cluster.inner.fetch_metrics()
    assert evidence.parse_process(metrics)
    assert evidence.parse_config_fingerprint(metrics)


def read_etcd(api: Server, key: str) -> bytes:
    """Read one value past the API server, by etcd's gateway of JSON."""
    body = json.dumps({"key": base64.b64encode(key.encode()).decode()}).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{api.etcd_url}/v3/kv/range", data=body, timeout=10) as reply:
        (found,) = json.load(reply)["kvs"]
    return base64.b64decode(found["value"])
