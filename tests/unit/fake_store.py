"""External Secrets and what is around it, as far as the gate's evidence is concerned."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from kinky.config.load import load_config
from kinky.gate.proof import ProofSpec
from kinky.kube.access import HostAccess
from kinky.manifests.secrets_store import build_probes
from kinky.stores.host_namespace import HostNamespaceStore
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_reach import ForgetfulReach

SECRETS = "/api/v1/namespaces/ns/secrets"
INNER_SECRETS = "/api/v1/namespaces/kinky-system/secrets"
STORES = "/apis/external-secrets.io/v1/clustersecretstores"
CANARIES = "/apis/external-secrets.io/v1/namespaces/kinky-system/externalsecrets"
CONFIG = load_config({"cluster": {"name": "dev"}, "host": {"embedded": True}}, source="test")
ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
STORE = HostNamespaceStore(ForgetfulReach(ACCESS), token_hours=24)
PROOF = ProofSpec(store="kinky", source=STORE, probes=build_probes(CONFIG))


class Operator:
    """External Secrets; runs whenever somebody sleeps."""

    def __init__(self, host: FakeConnection, inner: FakeConnection) -> None:
        self.host = host
        self.inner = inner
        self.copies = 0
        self.limit = 100
        self.answers: set[str] = set()
        """ExternalSecrets that get a value although they must not."""
        self.looks = True
        """Whether it looks at what has to be refused."""
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.01)
        self._copy()
        for name in ("unknown", "decoy"):
            asked = self.inner.objects.get(f"{CANARIES}/{name}")
            if asked is not None and self.looks:
                status = "True" if name in self.answers else "False"
                asked["status"] = {"conditions": [{"type": "Ready", "status": status, "reason": "SecretSynced"}]}

    def _copy(self) -> None:
        path = f"{SECRETS}/dev-store-canary"
        nonce = decode(self.host, path) if path in self.host.objects else {}
        held = self.inner.objects.get(f"{INNER_SECRETS}/canary", {}).get("data")
        encoded = {key: base64.b64encode(value).decode() for key, value in nonce.items()}
        if nonce and encoded != held and self.copies < self.limit:
            self.copies += 1
            self.inner.add(INNER_SECRETS, "canary", data=encoded)


def start_operator(host: FakeConnection, inner: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """Make a store that works, in a cluster that encrypts, with a token that expires."""
    made = Operator(host, inner)
    monkeypatch.setattr("time.monotonic", lambda: made.now)
    monkeypatch.setattr("time.sleep", made.sleep)
    set_store(inner, "True", "Valid")
    inner.add(CANARIES, "canary")
    token = base64.b64encode(build_token(timedelta(hours=24)).encode()).decode()
    inner.add(INNER_SECRETS, "host-store-token", data={"token": token})
    write_metrics(inner, {"k8s:enc:secretbox:v1:": 12, "key-1:": 12})
    return made


def set_store(inner: FakeConnection, status: str, reason: str) -> None:
    inner.add(STORES, "kinky", status={"conditions": [{"type": "Ready", "status": status, "reason": reason}]})


def write_metrics(inner: FakeConnection, counts: Mapping[str, int]) -> None:
    """Write the API server's count of Secrets by prefix, among lines that are about other things."""
    name = "apiserver_storage_transformation_operations_total"
    lines = [f"# TYPE {name} counter", f'{name}{{resource="",status="OK",transformation_type="to_storage"}} 3']
    lines += [
        f'{name}{{resource="secrets",status="OK",transformation_type="from_storage",transformer_prefix="identity"}} 1'
    ]
    lines += [
        f'{name}{{resource="secrets",status="OK",transformation_type="to_storage",transformer_prefix="{prefix}"}} '
        f"{count}"
        for prefix, count in counts.items()
    ]
    inner.answer("GET", "/metrics", "\n".join(lines))


def build_token(life: timedelta | None) -> str:
    """Build a token of this life; without one it never expires."""
    claims = {"sub": "reader"} | ({"exp": int((datetime.now(UTC) + life).timestamp())} if life is not None else {})
    return f"eyJh.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


def decode(connection: FakeConnection, path: str) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in connection.objects[path]["data"].items()}
