"""Running servers, prepared as an operator does."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from kinky import process, retry
from kinky.keys import certificates
from tests.vault_server.client import VaultClient
from tests.vault_server.faults import Faults
from tests.vault_server.server import VaultServer
from tests.vault_server.signer import AUDIENCE, ISSUER, SUBJECT, Signer

ANOTHER = "KINKY_VAULT_PROGRAM"
"""Variable with the path of another server, such as the one of tests/vault_real."""
POLICY = 'path "secret/data/kinky/dev/*" { capabilities = ["read"] }'


@dataclass(frozen=True)
class Running:
    """A server that runs, its operator, and the key of those who log in."""

    operator: VaultClient
    ca: Path
    address: str
    faults: Faults | None = None
    signer: Signer = field(default_factory=Signer)

    def log_in(self, jwt: str, *, mount: str = "kinky-dev", role: str = "kinky-dev") -> VaultClient:
        """Return the client of a fresh login."""
        answer = self.operator.with_token("").put(f"auth/{mount}/login", role=role, jwt=jwt)
        assert answer.status == 200, answer.errors
        return self.operator.with_token(answer.body["auth"]["client_token"])

    def refused(self, jwt: str, *, role: str = "kinky-dev") -> str:
        """Return why a login is refused."""
        answer = self.operator.with_token("").put("auth/kinky-dev/login", role=role, jwt=jwt)
        assert answer.status == 400, answer.status
        return answer.errors


def write_role(running: Running, name: str = "kinky-dev", **changes: object) -> None:
    """Write the role of the inner cluster."""
    usual = {
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": [AUDIENCE],
        "bound_subject": SUBJECT,
        "token_policies": ["kinky-dev"],
        "token_ttl": "10m",
    }
    answer = running.operator.put(f"auth/kinky-dev/role/{name}", **{**usual, **changes})
    assert answer.status == 204, answer.errors


def prepare(running: Running) -> None:
    """Do what an operator does: an engine, an auth method with the public key, a policy, a role, two values."""
    operator = running.operator
    wanted = [
        operator.put("sys/mounts/secret", type="kv", options={"version": "2"}),
        operator.put("sys/auth/kinky-dev", type="jwt"),
        operator.put("auth/kinky-dev/config", jwt_validation_pubkeys=[running.signer.public_key], bound_issuer=ISSUER),
        operator.put("sys/policies/acl/kinky-dev", policy=POLICY),
    ]
    assert [answer.status for answer in wanted] == [204] * len(wanted)
    write_role(running)
    wait_for_engine(operator)
    for path, value in (("kinky/dev/db", "first"), ("kinky/dev-decoy", "decoy")):
        assert operator.put(f"secret/data/{path}", data={"value": value}).status == 200


def wait_for_engine(operator: VaultClient, mount: str = "secret") -> None:
    """Wait until a new engine serves: Vault answers 400 for a moment, as it looks for an older format."""

    def attempt() -> bool | retry.Pending:
        status = operator.get(f"{mount}/config").status
        return status == 200 or retry.Pending(f"status {status}")

    retry.wait_until(attempt, what=f"engine {mount}", deadline_seconds=30, every_seconds=0.1)


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA and a server's certificate."""
    folder = tmp_path_factory.mktemp("vault")
    ca = certificates.make_ca("test of the store")
    leaf = certificates.make_leaf(
        ca,
        certificates.LeafRequest(common_name="vault", addresses=["127.0.0.1"], server=True, life=timedelta(days=1)),
    )
    for name, content in (("ca.crt", ca.certificate), ("tls.crt", leaf.certificate), ("tls.key", leaf.key)):
        (folder / name).write_bytes(content)
    return folder


def _run_another(program: str, material: Path, scratch: Path) -> Iterator[Running]:
    """Run another server of this API, which takes the same arguments as ours but has no faults."""
    token = scratch / "token"
    token.write_text(secrets.token_urlsafe(24))
    log = scratch / "server.log"
    files: list[str | Path] = [
        "--certificate",
        material / "tls.crt",
        "--key",
        material / "tls.key",
        "--root-token-file",
        token,
    ]
    pid = process.spawn_detached([program, "--listen", "127.0.0.1:0", *files], log=log)
    try:
        address = read_address(log, is_alive=lambda: process.is_alive(pid, expect=str(token)))
        yield Running(VaultClient(address, material / "ca.crt", token.read_text()), material / "ca.crt", address)
    finally:
        process.terminate(pid, expect=str(token))


def _run(material: Path, scratch: Path) -> Iterator[Running]:
    """Run the server that is looked at: ours, or the one that the environment names, to compare them."""
    program = os.environ.get(ANOTHER)
    yield from _run_another(program, material, scratch) if program else _run_ours(material, scratch)


def _run_ours(material: Path, scratch: Path) -> Iterator[Running]:
    token = secrets.token_urlsafe(24)
    with VaultServer(
        root_token=token, certificate=material / "tls.crt", key=material / "tls.key", faults=scratch / "faults"
    ) as server:
        operator = VaultClient(server.address, material / "ca.crt", token)
        yield Running(operator, material / "ca.crt", server.address, server.faults)


def read_address(log: Path, *, is_alive: Callable[[], bool]) -> str:
    """Wait until a server's first line names its address."""

    def attempt() -> str | retry.Pending:
        assert is_alive(), log.read_text()
        line = log.read_text()
        return f"https://{line.split()[-1].removeprefix('https://')}" if line.endswith("\n") else retry.Pending(line)

    return retry.wait_until(attempt, what="the server's address", deadline_seconds=60, every_seconds=0.1)


@pytest.fixture(scope="module")
def running(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A prepared server; the tests of a module share it."""
    for started in _run(material, tmp_path_factory.mktemp("server")):
        prepare(started)
        yield started


@pytest.fixture
def fresh(material: Path, tmp_path: Path) -> Iterator[Running]:
    """A server of the test's own, with nothing in it."""
    yield from _run(material, tmp_path)


@pytest.fixture
def ours(material: Path, tmp_path: Path) -> Iterator[Running]:
    """Our own server, prepared, with all faults off."""
    for started in _run_ours(material, tmp_path):
        prepare(started)
        yield started
