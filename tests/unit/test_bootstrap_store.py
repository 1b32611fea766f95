"""The secrets store: values are made once, the token is renewed at half life, and the proof wants two fresh nonces."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from kinky.bootstrap import keys, secrets_store, store_proof
from kinky.bootstrap.certificates import format_time
from kinky.errors import HostError, WaitError
from kinky.kube.access import HostAccess
from kinky.kube.connection import Reply
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns")
SECRETS = "/api/v1/namespaces/ns/secrets"
INNER_SECRETS = "/api/v1/namespaces/kinky-system/secrets"
STORES = "/apis/external-secrets.io/v1/clustersecretstores"
CANARIES = "/apis/external-secrets.io/v1/namespaces/kinky-system/externalsecrets"
TOKEN = "eyJ-token-of-the-reader"


@pytest.fixture
def host(host: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    keys.ensure_cluster_keys(ACCESS, "dev")
    host.add("/api/v1/namespaces/ns/serviceaccounts", "dev-store-reader")
    host.add("/api/v1/namespaces/default/services", "kubernetes", spec={"clusterIP": "10.96.0.1"})
    host.add("/api/v1/namespaces/ns/configmaps", "kube-root-ca.crt", data={"ca.crt": "PEM"})
    host.answers[("POST", "/api/v1/namespaces/ns/serviceaccounts/dev-store-reader/token")] = issue_token
    return host


@pytest.fixture
def inner(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    connection = FakeConnection(target='inner cluster "dev"')
    monkeypatch.setattr("kinky.kube.inner.open_inner", lambda _access: connection)
    return connection


def issue_token(asked: dict[str, dict[str, int]]) -> Reply:
    expires = datetime.now(UTC) + timedelta(seconds=asked["spec"]["expirationSeconds"])
    status = f'{{"status": {{"token": "{TOKEN}", "expirationTimestamp": "{format_time(expires)}"}}}}'
    return Reply(201, status.encode())


def decode(connection: FakeConnection, path: str) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in connection.objects[path]["data"].items()}


def test_a_value_is_made_once_and_never_told(host: FakeConnection) -> None:
    record = secrets_store.ensure_store_value(ACCESS, "dev", "message", key="message")
    value = decode(host, f"{SECRETS}/dev-store-message")["message"]
    assert len(value) >= 32
    assert value.decode() not in repr(record)
    assert secrets_store.ensure_store_value(ACCESS, "dev", "message", key="message") == record
    with pytest.raises(HostError, match="has no key other"):
        secrets_store.ensure_store_value(ACCESS, "dev", "message", key="other")
    secrets_store.delete_store_value(ACCESS, "dev", "message")
    assert secrets_store.ensure_store_value(ACCESS, "dev", "message", key="message") != record


def test_given_values_replace_each_other(host: FakeConnection) -> None:
    first = secrets_store.put_store_value(ACCESS, "dev", "x", {"a": "1"})
    second = secrets_store.put_store_value(ACCESS, "dev", "x", {"a": "2"})
    assert first.fingerprint != second.fingerprint
    assert decode(host, f"{SECRETS}/dev-store-x") == {"a": b"2"}


def test_server_is_what_pods_can_reach(host: FakeConnection) -> None:
    assert secrets_store.fetch_store_server(ACCESS) == secrets_store.StoreServer("https://10.96.0.1:443", "PEM")
    del host.objects["/api/v1/namespaces/ns/configmaps/kube-root-ca.crt"]
    with pytest.raises(HostError, match=r"ConfigMap ns/kube-root-ca\.crt is not there"):
        secrets_store.fetch_store_server(ACCESS)


def test_token_goes_into_the_inner_cluster_only(host: FakeConnection, inner: FakeConnection) -> None:
    record = secrets_store.ensure_store_token(ACCESS, "dev", "https://x", hours=24)
    assert record.secret == "kinky-system/host-store-token"
    assert decode(inner, f"{INNER_SECRETS}/host-store-token") == {"token": TOKEN.encode(), "ca.crt": b"PEM"}
    assert TOKEN not in repr(record)
    assert TOKEN not in repr(host.objects)


def test_token_is_kept_until_half_life_or_another_reader(host: FakeConnection, inner: FakeConnection) -> None:
    def ensure(hours: int = 24) -> str:
        return secrets_store.ensure_store_token(ACCESS, "dev", "https://x", hours=hours).expires_at

    asked = ("POST", "/api/v1/namespaces/ns/serviceaccounts/dev-store-reader/token")
    first = ensure()
    assert ensure() == first
    assert host.calls.count(asked) == 1
    assert ensure(hours=100) != first
    host.objects["/api/v1/namespaces/ns/serviceaccounts/dev-store-reader"]["metadata"]["uid"] = "another"
    ensure(hours=100)
    assert host.calls.count(asked) == 3


def test_token_never_lives_longer_than_a_week(host: FakeConnection, inner: FakeConnection) -> None:
    expires = secrets_store.ensure_store_token(ACCESS, "dev", "https://x", hours=8760).expires_at
    assert datetime.fromisoformat(expires) < datetime.now(UTC) + timedelta(days=7, seconds=1)
    assert not secrets_store.is_token_renewal_due(expires, 8760)


def test_reader_that_is_missing(host: FakeConnection, inner: FakeConnection) -> None:
    del host.objects["/api/v1/namespaces/ns/serviceaccounts/dev-store-reader"]
    with pytest.raises(HostError, match="ServiceAccount ns/dev-store-reader is not there"):
        secrets_store.ensure_store_token(ACCESS, "dev", "https://x", hours=1)


class Operator:
    """External Secrets, as far as the canary is concerned; runs whenever somebody sleeps."""

    def __init__(self, host: FakeConnection, inner: FakeConnection) -> None:
        self.host = host
        self.inner = inner
        self.copies = 0
        self.limit = 100
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.01)
        nonce = (
            decode(self.host, f"{SECRETS}/dev-store-canary")
            if f"{SECRETS}/dev-store-canary" in self.host.objects
            else {}
        )
        held = self.inner.objects.get(f"{INNER_SECRETS}/canary", {}).get("data")
        encoded = {key: base64.b64encode(value).decode() for key, value in nonce.items()}
        if nonce and encoded != held and self.copies < self.limit:
            self.copies += 1
            self.inner.add(INNER_SECRETS, "canary", data=encoded)


@pytest.fixture
def operator(host: FakeConnection, inner: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> Operator:
    made = Operator(host, inner)
    monkeypatch.setattr("time.monotonic", lambda: made.now)
    monkeypatch.setattr("time.sleep", made.sleep)
    set_store(inner, "True", "Valid")
    inner.add(CANARIES, "canary")
    return made


def set_store(inner: FakeConnection, status: str, reason: str) -> None:
    inner.add(STORES, "kinky", status={"conditions": [{"type": "Ready", "status": status, "reason": reason}]})


def prove() -> store_proof.StoreRecord:
    return store_proof.prove_store(ACCESS, "dev", "https://x", store="kinky", limit_seconds=30)


def test_two_nonces_make_the_trip(operator: Operator, inner: FakeConnection) -> None:
    record = prove()
    assert operator.copies == 2
    assert record.first_seconds <= record.second_seconds
    nonce = decode(inner, f"{INNER_SECRETS}/canary")["nonce"].decode()
    assert nonce not in repr(record)
    assert "force-sync" in inner.objects[f"{CANARIES}/canary"]["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda operator: setattr(operator, "limit", 0), "Secret kinky-system/canary is not there yet"),
        (lambda operator: setattr(operator, "limit", 1), "a second value replaces the first"),
        (lambda operator: set_store(operator.inner, "True", "ValidationUnknown"), "Ready=True ValidationUnknown"),
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
