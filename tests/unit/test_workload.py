"""The proof of the workload compares what was read with what the store holds, and tells no secret."""

import base64
import hashlib

import pytest

from kinky import names, retry
from kinky.errors import HostError, WaitError
from kinky.gate import workload
from kinky.keys import material
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.reach.reach import Reach
from kinky.stores.host_namespace import HostNamespaceStore
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
SERVER = "https://127.0.0.1:16443"
PAGE = "/api/v1/namespaces/web/services/web:http/proxy/"
VALUE = "a value of the store"
FINGERPRINT = hashlib.sha256(VALUE.encode()).hexdigest()


@pytest.fixture
def host(host: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    monkeypatch.setattr(retry, "pause", lambda _seconds: None)
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    data = {"message": base64.b64encode(VALUE.encode()).decode()}
    host.add(
        "/api/v1/namespaces/ns/secrets",
        "dev-store-message",
        data=data,
        metadata={"labels": names.cluster_labels("dev")},
    )
    return host


def prove(*, limit_seconds: float = 5.0) -> workload.WorkloadRecord:
    return workload.prove_workload(
        Reach(ACCESS, SERVER),
        store=HostNamespaceStore(Reach(ACCESS), token_hours=24),
        greeting="hello",
        value="message",
        key="message",
        limit_seconds=limit_seconds,
    )


def test_the_answer_is_compared_with_the_store(host: FakeConnection, inner: FakeConnection) -> None:
    inner.answer("GET", PAGE, f"greeting=hello\nsecret={FINGERPRINT}\nnode=dev-worker-0\n")
    record = prove()
    assert record.node == "dev-worker-0"
    assert record.secret_fingerprint == FINGERPRINT
    assert VALUE not in repr(record)


@pytest.mark.parametrize(
    ("page", "seen"),
    [
        (f"greeting=hello\nsecret={'0' * 64}\nnode=n\n", "its secret is not the store's"),
        (f"greeting=bye\nsecret={FINGERPRINT}\nnode=n\n", "greeting 'bye', not 'hello'"),
        ("", "greeting '', not 'hello'"),
    ],
    ids=["another secret", "another greeting", "nothing"],
)
def test_another_answer_is_no_proof(host: FakeConnection, inner: FakeConnection, page: str, seen: str) -> None:
    inner.answer("GET", PAGE, page)
    with pytest.raises(WaitError, match=seen) as caught:
        prove(limit_seconds=0.05)
    assert "kubectl get pods,externalsecrets -n web" in str(caught.value)
    assert VALUE not in str(caught.value)


def test_no_answer_yet_is_waited_for(host: FakeConnection, inner: FakeConnection) -> None:
    inner.down = True
    with pytest.raises(WaitError, match="connection refused"):
        prove(limit_seconds=0.05)


def test_a_store_without_the_value_is_told_at_once(host: FakeConnection, inner: FakeConnection) -> None:
    host.objects.clear()
    with pytest.raises(HostError, match="dev-store-message has no key message"):
        prove()
