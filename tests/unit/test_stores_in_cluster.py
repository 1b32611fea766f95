"""A store in the inner cluster itself: its values, who may read them, and what its credential is proved by."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from kinky.config.load import load_config
from kinky.errors import HostError
from kinky.gate import proof as store_proof
from kinky.keys import material
from kinky.kube.access import HostAccess
from kinky.kube.connection import Reply
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.manifests import secrets_store, stores
from kinky.operations.renewal import ROOT_CONFIG_MAP
from kinky.ownership import record
from kinky.reach.reach import Reach
from kinky.stores import values
from kinky.stores.in_cluster import InClusterStore
from kinky.stores.opening import describe_store, open_store
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_reach import FakeReach
from tests.unit.fake_store import CANARIES, INNER_SECRETS, STORES, Operator, build_token, start_operator

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
CFG = load_config(
    {
        "cluster": {"name": "dev", "ephemeral": True},
        "host": {"embedded": True},
        "secretsStore": {"kind": "inCluster"},
    },
    source="test",
)
SECRETS = "/api/v1/namespaces/kinky-store/secrets"
TOKENS = "/api/v1/namespaces/kinky-store/serviceaccounts/dev-store-reader/token"
READER = {"name": "dev-store-reader", "namespace": "kinky-store"}


@pytest.fixture
def inner(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    connection = FakeConnection(target='inner cluster "dev"')
    monkeypatch.setattr("kinky.kube.inner.open_inner", lambda _access: connection)
    connection.answers[("POST", TOKENS)] = lambda asked: issue(asked["spec"]["expirationSeconds"])
    return connection


@pytest.fixture
def store(inner: FakeConnection) -> InClusterStore:
    opened = open_store(describe_store(CFG), FakeReach(ACCESS, inner))
    assert isinstance(opened, InClusterStore)
    return opened


def issue(seconds: float | None) -> Reply:
    token = build_token(None if seconds is None else timedelta(seconds=seconds))
    return Reply(201, json.dumps({"status": {"token": token, "expirationTimestamp": "2099-01-01T00:00:00Z"}}).encode())


def set_up(inner: FakeConnection) -> None:
    """Make the store that the manifests declare, as External Secrets says that it is valid."""
    body, _ = secrets_store.build_store(CFG, server=None, ca_bundle=None)
    ready = {"type": "Ready", "status": "True", "reason": "Valid"}
    inner.add(STORES, "kinky", spec=body["spec"], status={"conditions": [ready]})


class InnerOperator(Operator):
    """External Secrets that reads the store's namespace of the inner cluster."""

    def _copy(self) -> None:
        held = self.inner.objects.get(f"{SECRETS}/dev-store-canary", {}).get("data")
        if held and held != self.inner.objects.get(f"{INNER_SECRETS}/canary", {}).get("data") and self.limit:
            self.copies += 1
            self.inner.add(INNER_SECRETS, "canary", data=held)


def test_values_are_in_the_inner_cluster_and_the_host_holds_none(
    store: InClusterStore, inner: FakeConnection, host: FakeConnection
) -> None:
    values.ensure_store_value(store, "message", key="message")
    inner.objects[f"{SECRETS}/dev-store-message"]["metadata"]["creationTimestamp"] = "2026-11-22T00:00:00Z"
    change = values.put_value(store, "dev", "db-password", key="value", value=b"secret")
    assert change.place == "Secret kinky-store/dev-store-db-password"
    assert [(value.name, value.made_by) for value in store.fetch_all()] == [
        ("db-password", "admin"),
        ("message", "program"),
    ]
    rules = "/apis/rbac.authorization.k8s.io/v1/namespaces/kinky-store"
    role = inner.objects[f"{rules}/roles/dev-store-reader-db-password"]
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["dev-store-db-password"], "verbs": ["get"]}
    ]
    values.delete_value(store, "dev", "db-password")
    assert not [path for path in inner.objects if path.endswith("db-password")]
    assert not [path for path in host.objects if "store" in path]


def test_the_reader_gets_values_by_name_and_external_secrets_its_tokens_alone() -> None:
    form = stores.of(CFG)
    namespace, account, role, binding = form.build_source(CFG)
    assert {body["metadata"].get("namespace", "kinky-store") for body in (account, role, binding)} == {"kinky-store"}
    assert namespace["metadata"]["name"] == "kinky-store"
    (rule,) = role["rules"]
    assert (rule["verbs"], rule["resourceNames"]) == (
        ["get"],
        ["dev-store-canary", "dev-store-message", "dev-store-unknown"],
    )
    tokens, bound = form.build_rights(CFG)
    assert tokens["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["serviceaccounts/token"],
            "resourceNames": ["dev-store-reader"],
            "verbs": ["create"],
        }
    ]
    assert tokens["metadata"]["namespace"] == bound["metadata"]["namespace"] == "kinky-store"
    assert bound["subjects"] == [{"kind": "ServiceAccount", "name": "external-secrets", "namespace": "kinky-system"}]


def test_the_store_is_reached_without_the_inner_dns() -> None:
    store, canary = secrets_store.build_store(CFG, server=None, ca_bundle=None)
    provider = store["spec"]["provider"]["kubernetes"]
    assert provider["server"]["url"] == "https://10.95.0.1:443"
    ca = {"type": "ConfigMap", "name": ROOT_CONFIG_MAP, "key": "ca.crt", "namespace": "kinky-system"}
    assert provider["server"]["caProvider"] == ca, "what a rotation of the CAs waits for"
    assert provider["remoteNamespace"] == "kinky-store"
    assert provider["auth"] == {"serviceAccount": READER}
    assert canary["spec"]["data"][0]["remoteRef"]["key"] == "dev-store-canary"


def test_the_gate_s_seven_items_hold(
    store: InClusterStore, inner: FakeConnection, host: FakeConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    record.ensure_record(HostApi.connect(ACCESS), "organization/kinky/dev", {})
    start_operator(host, inner, monkeypatch)
    operator = InnerOperator(host, inner)
    monkeypatch.setattr("time.sleep", operator.sleep)
    monkeypatch.setattr("time.monotonic", lambda: operator.now)
    set_up(inner)
    del inner.objects[f"{INNER_SECRETS}/host-store-token"]
    inner.answers[("POST", TOKENS)] = lambda asked: issue_with_start(asked["spec"]["expirationSeconds"])
    proof = store_proof.ProofSpec(store="kinky", source=store, probes=secrets_store.build_probes(CFG))
    proved = store_proof.prove_store(Reach(ACCESS, "https://x"), proof, limit_seconds=30)
    assert [item.item for item in proved.items] == ["G1", "G2", "G3", "G4", "G5", "G6", "G7"]
    assert operator.copies == 2
    assert f"{SECRETS}/dev-decoy" not in inner.objects
    assert not {f"{CANARIES}/unknown", f"{CANARIES}/decoy"} & inner.objects.keys()
    assert not [path for path in host.objects if "store" in path or "decoy" in path]


def issue_with_start(seconds: float) -> Reply:
    """Issue a token that says when it begins, as an API server's does."""
    now = int(datetime.now(UTC).timestamp())
    claims = base64.urlsafe_b64encode(json.dumps({"iat": now, "exp": now + int(seconds)}).encode()).decode().rstrip("=")
    status = {"token": f"eyJh.{claims}.c2ln", "expirationTimestamp": "2099-01-01T00:00:00Z"}
    return Reply(201, json.dumps({"status": status}).encode())


def check(store: InClusterStore, inner: FakeConnection) -> object:
    return store.check_credential(InnerApi(inner))  # type: ignore[arg-type]


def test_g7_says_what_is_proved(store: InClusterStore, inner: FakeConnection) -> None:
    set_up(inner)
    inner.answers[("POST", TOKENS)] = lambda asked: issue_with_start(asked["spec"]["expirationSeconds"])
    assert check(store, inner) == "tokens of 3600 s, asked for at each read; none without an end"


@pytest.mark.parametrize(
    ("auth", "lasting", "seconds", "expected"),
    [
        ({"token": {"bearerToken": {"name": "t"}}}, False, 3600, "reads with something else than tokens of"),
        ({"serviceAccount": {**READER, "name": "other"}}, False, 3600, "reads with something else than tokens of"),
        ({"serviceAccount": READER}, True, 3600, "Secret kinky-store/lasting holds a token without an end"),
        ({"serviceAccount": READER}, False, None, "a token without an end"),
        ({"serviceAccount": READER}, False, 31_536_000, "gives a token of 31536000 s where 3600 s were asked for"),
    ],
)
def test_g7_is_refuted(
    store: InClusterStore,
    inner: FakeConnection,
    auth: dict[str, object],
    lasting: bool,
    seconds: float | None,
    expected: str,
) -> None:
    inner.add(STORES, "kinky", spec={"provider": {"kubernetes": {"auth": auth}}})
    if lasting:
        inner.add(SECRETS, "lasting", type="kubernetes.io/service-account-token")
    inner.answers[("POST", TOKENS)] = lambda _asked: issue(None) if seconds is None else issue_with_start(seconds)
    with pytest.raises(HostError, match=expected):
        check(store, inner)
