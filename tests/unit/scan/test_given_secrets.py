"""Secrets that are on no host: what the operator gave by variables and files, and values of stores elsewhere."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from kinky import paths
from kinky.cli import scan_secrets
from kinky.cli.scan_secrets import read_of_store
from kinky.config.load import load_config
from kinky.errors import HostError
from kinky.kube.access import HostAccess
from kinky.scan.known import read_local
from kinky.scan.secret import SecretClass
from kinky.stores.in_cluster import InClusterStore
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_reach import FakeReach
from tests.unit.scan.machine import Machine, make_machine, write

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="kinky-dev", cluster="dev")
PASSPHRASE, TOKEN = "the passphrase of an operator", "s.the-token-of-an-operator"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return make_machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("variable", "value", "secret_class"),
    [
        ("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE, SecretClass.PASSPHRASE),
        ("VAULT_TOKEN", TOKEN, SecretClass.ADMIN_TOKEN),
    ],
)
def test_what_a_variable_gives_may_be_in_environments_and_nowhere_else(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, secret_class: SecretClass
) -> None:
    monkeypatch.setenv(variable, value)
    (known,) = read_local()
    assert (known.secret_class, known.name) == (secret_class, f"${variable}")
    assert machine.scan([known]).passed, "it need not be anywhere"
    process = machine.root.parent / "proc" / "12"
    write(process / "environ", f"{variable}={value}".encode())
    report = machine.scan([known])
    assert report.passed
    assert [artefact.name for artefact, secret in report.expected if secret == known] == ["12 sleep environ"]
    write(process / "cmdline", value.encode())
    write(paths.pulumi_backend_dir() / "dev.json", json.dumps({"token": value}).encode())
    assert {str(artefact.kind) for artefact, _ in machine.scan([known]).unexpected} == {"process", "Pulumi state"}


def test_a_passphrase_that_is_given_in_both_ways_is_at_home_in_both(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    write(paths.passphrase_file(), PASSPHRASE.encode())
    write(machine.root.parent / "proc" / "12" / "environ", PASSPHRASE.encode())
    assert machine.scan(read_local()).passed


def test_a_passphrase_of_a_file_alone_may_be_in_no_environment(machine: Machine) -> None:
    write(paths.passphrase_file(), PASSPHRASE.encode())
    write(machine.root.parent / "proc" / "12" / "environ", PASSPHRASE.encode())
    assert not machine.scan(read_local()).passed


def test_every_token_of_the_operator_is_looked_for(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that another one hides: it opens the server all the same."""
    named, usual = machine.root.parent / "named", machine.root.parent / "home" / ".vault-token"
    write(named, b"s.the-token-of-a-file\n")
    write(usual, b"s.the-token-of-a-login\n")
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    monkeypatch.setenv("VAULT_TOKEN_FILE", str(named))
    assert [known.name for known in read_local()] == ["$VAULT_TOKEN", str(named), str(usual)]
    write(machine.root / "notes.txt", b"token: s.the-token-of-a-login")
    (hit,) = machine.scan(read_local()).unexpected
    assert hit[1].name == str(usual)


def test_values_of_a_store_inside_are_looked_for(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = FakeConnection()
    labels = {"kinky.dev/cluster": "dev", "app.kubernetes.io/managed-by": "kinky"}
    metadata = {"labels": labels, "creationTimestamp": "2026-01-01T00:00:00Z"}
    value = b"a value of the store inside"
    inner.add(
        "/api/v1/namespaces/kinky-store/secrets",
        "dev-store-db",
        metadata=metadata,
        data={"value": base64.b64encode(value).decode()},
    )
    config = {"cluster": {"name": "dev", "ephemeral": True}, "host": {"embedded": True}}
    stack = replace(machine.stack, config=load_config(config | {"secretsStore": {"kind": "inCluster"}}, source="test"))
    store = InClusterStore(FakeReach(ACCESS, inner))
    monkeypatch.setattr(scan_secrets, "find_store", lambda _stack, _access: store)
    (known,), unknown = read_of_store(stack, FakeReach(ACCESS))
    assert (known.name, unknown) == ("Secret kinky-store/dev-store-db/value", [])
    assert machine.scan([known]).passed
    machine.log = b"got " + value
    (hit, *_) = machine.scan([known]).unexpected
    assert hit[1] == known


def test_what_cannot_be_read_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise HostError("no way to the inner API")

    reach = FakeReach(ACCESS)
    monkeypatch.setattr(reach, "inner", refuse)
    found, unknown = read_of_store(machine.stack, reach)
    assert found == []
    assert unknown == ["the token that reads the store, because it cannot be read: no way to the inner API"]
