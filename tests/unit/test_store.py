"""The secrets store: values are made once, the token is renewed at half life, and the proof wants two fresh nonces."""

import base64
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from kinky.errors import HostError, WaitError
from kinky.gate import proof
from kinky.keys import material
from kinky.keys.certificates import format_time
from kinky.kube.access import HostAccess
from kinky.kube.connection import Reply
from kinky.kube.host import HostApi
from kinky.reach.reach import Reach
from kinky.stores import secrets_store, values
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_store import (
    CANARIES,
    INNER_SECRETS,
    PROOF,
    SECRETS,
    STORE,
    STORES,
    Operator,
    build_token,
    decode,
    set_store,
    start_operator,
    write_metrics,
)

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
TOKEN = "eyJ-token-of-the-reader"


@pytest.fixture
def host(host: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    host.add("/api/v1/namespaces/ns/serviceaccounts", "dev-store-reader")
    host.add("/api/v1/namespaces/default/services", "kubernetes", spec={"clusterIP": "10.96.0.1"})
    host.add("/api/v1/namespaces/ns/configmaps", "kube-root-ca.crt", data={"ca.crt": "PEM"})
    host.answers[("POST", "/api/v1/namespaces/ns/serviceaccounts/dev-store-reader/token")] = issue_token
    return host


def issue_token(asked: dict[str, dict[str, int]]) -> Reply:
    expires = datetime.now(UTC) + timedelta(seconds=asked["spec"]["expirationSeconds"])
    status = f'{{"status": {{"token": "{TOKEN}", "expirationTimestamp": "{format_time(expires)}"}}}}'
    return Reply(201, status.encode())


def test_a_value_is_made_once_and_never_told(host: FakeConnection) -> None:
    record = values.ensure_store_value(STORE, "message", key="message")
    value = decode(host, f"{SECRETS}/dev-store-message")["message"]
    assert len(value) >= 32
    assert value.decode() not in repr(record)
    assert values.ensure_store_value(STORE, "message", key="message") == record
    with pytest.raises(HostError, match="has no key other"):
        values.ensure_store_value(STORE, "message", key="other")
    STORE.forget("message")
    assert values.ensure_store_value(STORE, "message", key="message") != record


def test_given_values_replace_each_other(host: FakeConnection) -> None:
    STORE.write("x", {"a": b"1"})
    STORE.write("x", {"a": b"2"})
    assert decode(host, f"{SECRETS}/dev-store-x") == {"a": b"2"}


def test_server_is_what_pods_can_reach(host: FakeConnection) -> None:
    assert secrets_store.fetch_store_server(HostApi.connect(ACCESS)) == secrets_store.StoreServer(
        "https://10.96.0.1:443", "PEM"
    )
    del host.objects["/api/v1/namespaces/ns/configmaps/kube-root-ca.crt"]
    with pytest.raises(HostError, match=r"ConfigMap ns/kube-root-ca\.crt is not there"):
        secrets_store.fetch_store_server(HostApi.connect(ACCESS))


def test_who_may_read_one_namespace_only_has_the_store_use_the_own_url(host: FakeConnection) -> None:
    host.answer("GET", "/api/v1/namespaces/default/services/kubernetes", {"reason": "Forbidden"}, status=403)
    assert secrets_store.fetch_store_server(HostApi.connect(ACCESS)).url == "https://host.test:6443"
    for server in ("https://127.0.0.1:16500", "https://[::1]:6443", "https://localhost:6443"):
        host.server = server
        with pytest.raises(HostError, match=r"no right to get Service kubernetes in namespace default, and https://"):
            secrets_store.fetch_store_server(HostApi.connect(ACCESS))


def test_token_goes_into_the_inner_cluster_only(host: FakeConnection, inner: FakeConnection) -> None:
    record = secrets_store.ensure_store_token(Reach(ACCESS, "https://x"), hours=24)
    assert record.secret == "kinky-system/host-store-token"
    assert decode(inner, f"{INNER_SECRETS}/host-store-token") == {"token": TOKEN.encode(), "ca.crt": b"PEM"}
    assert TOKEN not in repr(record)
    assert TOKEN not in repr(host.objects)


def test_token_is_kept_until_half_life_or_another_reader(host: FakeConnection, inner: FakeConnection) -> None:
    def ensure(hours: int = 24) -> str:
        return secrets_store.ensure_store_token(Reach(ACCESS, "https://x"), hours=hours).expires_at

    asked = ("POST", "/api/v1/namespaces/ns/serviceaccounts/dev-store-reader/token")
    first = ensure()
    assert ensure() == first
    assert host.calls.count(asked) == 1
    assert ensure(hours=100) != first
    host.objects["/api/v1/namespaces/ns/serviceaccounts/dev-store-reader"]["metadata"]["uid"] = "another"
    ensure(hours=100)
    assert host.calls.count(asked) == 3


def test_reader_that_is_missing(host: FakeConnection, inner: FakeConnection) -> None:
    del host.objects["/api/v1/namespaces/ns/serviceaccounts/dev-store-reader"]
    with pytest.raises(HostError, match="ServiceAccount ns/dev-store-reader is not there"):
        secrets_store.ensure_store_token(Reach(ACCESS, "https://x"), hours=1)


@pytest.fixture
def operator(host: FakeConnection, inner: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return start_operator(host, inner, monkeypatch)


def prove(*, limit_seconds: float = 30) -> proof.StoreRecord:
    return proof.prove_store(Reach(ACCESS, "https://x"), PROOF, limit_seconds=limit_seconds)


def test_two_nonces_make_the_trip(operator: Operator, inner: FakeConnection) -> None:
    record = prove()
    assert operator.copies == 2
    assert record.first_seconds <= record.second_seconds
    nonce = decode(inner, f"{INNER_SECRETS}/canary")["nonce"].decode()
    assert nonce not in repr(record)
    assert "force-sync" in inner.objects[f"{CANARIES}/canary"]["metadata"]["annotations"]


def refuse(operator: Operator, item: str) -> str:
    """Return what the proof says, which must name the item and leave nothing of itself behind."""
    with pytest.raises((HostError, WaitError)) as caught:
        prove()
    assert f" {item}: " in str(caught.value).splitlines()[0]
    assert f"{SECRETS}/dev-decoy" not in operator.host.objects
    assert not {f"{CANARIES}/unknown", f"{CANARIES}/decoy"} & operator.inner.objects.keys()
    return str(caught.value)


def test_the_evidence_has_seven_items_with_their_times(operator: Operator) -> None:
    record = prove()
    assert [item.item for item in record.items] == ["G1", "G2", "G3", "G4", "G5", "G6", "G7"]
    assert all(datetime.fromisoformat(item.seen_at) for item in record.items)
    assert proof.StoreRecord.parse(json.loads(json.dumps(asdict(record)))) == record
    assert f"{SECRETS}/dev-decoy" not in operator.host.objects
    assert not {f"{CANARIES}/unknown", f"{CANARIES}/decoy"} & operator.inner.objects.keys()


def test_refusals_cost_no_time_of_their_own(operator: Operator) -> None:
    """They are asked for while the nonces travel, so both are there when the second has arrived."""
    prove()
    assert operator.now == pytest.approx(0.4)


def test_s6_ready_with_an_unknown_validation_is_no_evidence(operator: Operator) -> None:
    set_store(operator.inner, "True", "ValidationUnknown")
    assert "Ready=True ValidationUnknown" in refuse(operator, "G1")


def test_a_store_that_fails_is_asked_to_look_again(operator: Operator) -> None:
    """By itself it waits ever longer after each failure, so that an `up` that heals it would wait too."""
    set_store(operator.inner, "False", "InvalidProviderConfig")
    refuse(operator, "G1")
    asked = operator.inner.calls.count(("PATCH", f"{STORES}/kinky"))
    assert asked == 1, "once in 30 seconds: at 15, and 30 is the end"


def test_a_store_that_is_asked_to_look_again_opens_the_gate(operator: Operator) -> None:
    set_store(operator.inner, "False", "InvalidProviderConfig")

    def look(_patch: object) -> Reply:
        set_store(operator.inner, "True", "Valid")
        return Reply(200, b"{}")

    operator.inner.answers[("PATCH", f"{STORES}/kinky")] = look
    assert prove().items[0].item == "G1"
    assert operator.now < proof.NUDGE_EVERY_SECONDS + 10


def test_s7_a_stale_cache_fails_g3(operator: Operator) -> None:
    operator.limit = 1
    assert "holds an older value" in refuse(operator, "G3")


def test_s8_a_store_that_answers_any_key_fails_g4(operator: Operator) -> None:
    operator.answers = {"unknown", "decoy"}
    assert "ExternalSecret kinky-system/unknown got a value" in refuse(operator, "G4")


def test_s9_a_decoy_that_can_be_read_fails_g5(operator: Operator) -> None:
    operator.answers = {"decoy"}
    assert "ExternalSecret kinky-system/decoy got a value" in refuse(operator, "G5")


def test_a_refusal_that_nobody_has_looked_at_is_no_evidence(operator: Operator) -> None:
    operator.looks = False
    assert "unknown has no condition Ready yet" in refuse(operator, "G4")


def test_a_refusal_of_an_earlier_proof_is_no_evidence(operator: Operator) -> None:
    stale = {"conditions": [{"type": "Ready", "status": "False"}]}
    operator.inner.add(CANARIES, "unknown", metadata={"uid": "old"}, status=stale)
    operator.looks = False
    refuse(operator, "G4")


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"": 1, "k8s:enc:secretbox:v1:": 9}, "has written 1 Secrets to etcd without encryption"),
        ({"identity": 2}, "has written 2 Secrets to etcd without encryption"),
        ({"k8s:enc:aescbc:v1:": 9, "key-1:": 9}, "the metrics show k8s:enc:aescbc:v1:, key-1:"),
        ({}, "the metrics show no count"),
    ],
)
def test_secrets_in_plain_text_fail_g6(operator: Operator, counts: dict[str, int], expected: str) -> None:
    write_metrics(operator.inner, counts)
    assert expected in refuse(operator, "G6")


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (build_token(timedelta(hours=30)), "h more, configured are at most 24.0 h"),
        (build_token(timedelta(hours=-1)), "the store's token has expired at"),
        (build_token(None), "holds no token with an expiry"),
        ("opaque", "holds no token with an expiry"),
    ],
    # The tokens hold the time: without names of their own two workers of pytest would collect different tests.
    ids=["too long", "expired", "without an end", "opaque"],
)
def test_a_token_that_lives_too_long_or_no_more_fails_g7(operator: Operator, token: str, expected: str) -> None:
    operator.inner.add(INNER_SECRETS, "host-store-token", data={"token": base64.b64encode(token.encode()).decode()})
    told = refuse(operator, "G7")
    assert expected in told
    assert token not in told


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda operator: setattr(operator, "limit", 0), "Secret kinky-system/canary is not there yet"),
        (lambda operator: setattr(operator, "limit", 1), "a second value replaces the first"),
        (lambda operator: set_store(operator.inner, "False", "InvalidProviderConfig"), "Ready=False"),
        (lambda operator: operator.inner.objects.pop(f"{STORES}/kinky"), "ClusterSecretStore kinky is not there"),
    ],
)
def test_a_store_that_only_seems_to_work(operator: Operator, spoil: Callable[[Operator], None], expected: str) -> None:
    spoil(operator)
    with pytest.raises(WaitError) as caught:
        prove()
    assert expected in str(caught.value)
    sent = operator.host.objects.get(f"{SECRETS}/dev-store-canary", {}).get("data", {}).get("nonce")
    assert sent is None or base64.b64decode(sent).decode() not in str(caught.value)


def test_an_old_value_is_no_proof(operator: Operator) -> None:
    operator.limit = 0
    operator.inner.add(INNER_SECRETS, "canary", data={"nonce": base64.b64encode(b"old").decode()})
    with pytest.raises(WaitError, match="holds an older value"):
        prove()
