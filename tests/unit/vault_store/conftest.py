"""A store on a running server of the tests: real HTTPS, real logins, an operator who may no more than needed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.keys import certificates
from kinky.kube.access import HostAccess
from kinky.kube.connection import Reply
from kinky.stores.opening import describe_store, open_store
from kinky.stores.vault import VaultStore
from kinky.stores.vault_target import VaultTarget
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_reach import FakeReach
from tests.vault_server.client import VaultClient
from tests.vault_server.faults import Faults
from tests.vault_server.server import VaultServer
from tests.vault_server.signer import Signer

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
TOKENS = "/api/v1/namespaces/kinky-system/serviceaccounts/external-secrets/token"
ISSUER = "https://kubernetes.default.svc.cluster.local"
DOCS = Path(__file__).resolve().parents[3] / "docs/vault.md"


@dataclass
class Site:
    """The server, the store on it, and the inner cluster's key."""

    server: VaultServer
    root: VaultClient
    config: KinkyConfig
    store: VaultStore
    target: VaultTarget
    token_file: Path
    signer: Signer = field(default_factory=Signer)

    @property
    def faults(self) -> Faults:
        return self.server.faults

    @property
    def public_keys(self) -> list[bytes]:
        return [self.signer.public_key.encode()]

    def log_in(self, **claims: Any) -> VaultClient:
        """Log in as External Secrets does."""
        answer = self.root.with_token("").put(
            "auth/kinky-dev/login", role="kinky-dev", jwt=self.signer.sign(**{"iss": ISSUER, **claims})
        )
        assert answer.status == 200, answer.errors
        return self.root.with_token(answer.body["auth"]["client_token"])

    def issue(self, asked: dict[str, Any]) -> Reply:
        """Answer a TokenRequest as the inner API does."""
        now = certificates.format_time(datetime.now(UTC))
        token = self.signer.sign(iss=ISSUER, aud=asked["spec"]["audiences"])
        return Reply(201, json.dumps({"status": {"token": token, "expirationTimestamp": now}}).encode())


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA and a server's certificate."""
    folder = tmp_path_factory.mktemp("vault-store")
    ca = certificates.make_ca("test of the store")
    request = certificates.LeafRequest(
        common_name="vault", addresses=["127.0.0.1"], server=True, life=timedelta(days=1)
    )
    leaf = certificates.make_leaf(ca, request)
    for name, content in (("ca.crt", ca.certificate), ("tls.crt", leaf.certificate), ("tls.key", leaf.key)):
        (folder / name).write_bytes(content)
    return folder


def read_operator_policy() -> str:
    """Read the policy for the operator's token that the documentation prints."""
    page = DOCS.read_text()
    start = page.index('path "secret/data/kinky/dev/*"')
    return page[start : page.index("```", start)]


def build_config(address: str, ca: Path | None) -> KinkyConfig:
    vault = {"address": address} | ({"caFile": str(ca)} if ca else {})
    raw = {"cluster": {"name": "dev"}, "host": {"embedded": True}, "secretsStore": {"kind": "vault", "vault": vault}}
    return load_config(raw, source="test")


@pytest.fixture
def site(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server with an engine, and an operator with a token of its own, as the documentation has it."""
    root_token, token_file = secrets.token_urlsafe(24), tmp_path / "token"
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("KINKY_PROGRESS", "plain")
    monkeypatch.setenv("VAULT_TOKEN_FILE", str(token_file))
    with VaultServer(
        root_token=root_token,
        certificate=material / "tls.crt",
        key=material / "tls.key",
        faults=tmp_path / "faults",
        slow_seconds=2.0,
    ) as server:
        root = VaultClient(server.address, material / "ca.crt", root_token)
        root.put("sys/mounts/secret", type="kv", options={"version": "2"})
        assert root.put("sys/policies/acl/operator", policy=read_operator_policy()).status == 204
        token_file.touch(mode=0o600)
        token_file.write_text(root.put("auth/token/create", policies=["operator"]).body["auth"]["client_token"])
        config = build_config(server.address, material / "ca.crt")
        described = json.loads(json.dumps(describe_store(config)))
        store = open_store(described, FakeReach(ACCESS))
        assert isinstance(store, VaultStore)
        yield Site(server, root, config, store, VaultTarget.parse(described["vault"]), token_file)


@pytest.fixture
def inner(site: Site) -> FakeConnection:
    """The inner API, which issues tokens that the site's key signs."""
    connection = FakeConnection(target='inner cluster "dev"')
    connection.answers[("POST", TOKENS)] = site.issue
    return connection
