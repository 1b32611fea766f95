"""Which secrets are read, of which class, and the whole command over a fake host."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from kinky import paths
from kinky.cli import main, scan_sources
from kinky.embedded.layout import default_layout
from kinky.keys.material import make_cluster_files
from kinky.kube.access import HostAccess
from kinky.kube.connection import Reply
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.reach.reach import Reach
from kinky.scan.known import read_host_secrets, read_local_secrets
from kinky.scan.secret import SecretClass
from kinky.scan.source import Source
from tests.unit.cluster_records import record_data
from tests.unit.documents import PLAIN_KUBECONFIG
from tests.unit.fake_api import FakeConnection

PKI = make_cluster_files("dev")
WORKER = make_cluster_files("worker")
STORE_TOKEN = b"eyJ.the-token.that-reads-the-store"
NAMESPACE = "/api/v1/namespaces/kinky-dev"
SECRETS: dict[str, dict[str, bytes]] = {
    "dev-pki": PKI,
    "dev-worker-0-credentials-12345678": {
        "kubelet-client.key": WORKER["sa.key"],
        "kubelet-client.crt": WORKER["ca.crt"],
    },
    "dev-worker-0-user-data-12345678": {"userdata": b"#cloud-config", "networkdata": b"version: 2"},
    "dev-store-message": {"message": b"the message of the store"},
    "default-token": {"token": b"eyJ.a-token.of-somebody", "namespace": b"kinky-dev", "ca.crt": b"certificate"},
    "registry": {".dockerconfigjson": b'{"auths": {"registry": "password"}}', "pin": b"1234"},
}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    connection = FakeConnection()
    for name, data in SECRETS.items():
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        connection.add(f"{NAMESPACE}/secrets", name, data=encoded)
    connection.add(f"{NAMESPACE}/configmaps", "dev-record", data=record_data(cluster_id="c", host_uid=""))
    connection.add(f"{NAMESPACE}/pods", "launcher", spec={"containers": [{"name": "compute"}]})
    connection.answers[("GET", f"{NAMESPACE}/pods/launcher/log")] = lambda _body: Reply(200, b"booted\n")
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: connection)
    return connection


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """This machine's own files, as after `kinky up`, and a checkout that is no repository."""
    host_files = make_cluster_files("host")
    certificate, key = (base64.b64encode(host_files[name]).decode() for name in ("etcd-ca.crt", "etcd-ca.key"))
    credential = f"client-certificate-data: {certificate}, client-key-data: {key}"
    kubeconfig = PLAIN_KUBECONFIG.replace("token: secret", credential)
    for path, content in (
        (paths.passphrase_file(), b"the passphrase\n"),
        (paths.stack_dir("dev") / "credential.pem", WORKER["ca.crt"] + WORKER["ca.key"]),
        (paths.host_kubeconfig(), kubeconfig.encode()),
        (default_layout().pki / "ca.key", host_files["ca.key"]),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
    inner = FakeConnection()
    token = {"token": base64.b64encode(STORE_TOKEN).decode(), "ca.crt": "eA=="}
    inner.add("/api/v1/namespaces/kinky-system/secrets", "host-store-token", data=token)
    monkeypatch.setattr(Reach, "inner", lambda _reach: InnerApi(inner))  # type: ignore[arg-type]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(scan_sources, "find_processes", lambda: iter(()))
    nothing = Source(title="nothing", kinds=frozenset(), artefacts=())
    monkeypatch.setattr(scan_sources, "ask_pulumi", lambda _stack: nothing)
    monkeypatch.setattr(scan_sources, "_list_git", lambda: iter(()))
    return tmp_path


def test_each_value_of_the_host_has_its_class(host: FakeConnection, capsys: pytest.CaptureFixture[str]) -> None:
    found = read_host_secrets(
        HostApi(host, HostAccess(kubeconfig="/k", context=None, namespace="kinky-dev", cluster="dev"))
    )  # type: ignore[arg-type]
    assert {(known.name, str(known.secret_class)) for known in found} == {
        *((f"dev-pki/{name}.key", "private key") for name in ("ca", "front-proxy-ca", "etcd-ca", "sa")),
        ("dev-pki/encryption-config.yaml", "encryption key"),
        ("dev-worker-0-credentials-12345678/kubelet-client.key", "private key"),
        ("dev-store-message/message", "store value"),
        ("default-token/token", "token"),
        ("registry/.dockerconfigjson", "other Secret value"),
    }
    assert len({known.fingerprint for known in found}) == len(found)
    (key,) = (known for known in found if known.secret_class is SecretClass.ENCRYPTION_KEY)
    assert base64.b64encode(key.reveal()) in PKI["encryption-config.yaml"]
    assert capsys.readouterr().err == "not looked for: other Secret value registry/pin: 4 bytes, fewer than 8\n"


def test_local_files_are_read_without_a_host(machine: Path) -> None:
    found = read_local_secrets(
        passphrases=[paths.passphrase_file(), machine / "absent"], host_keys=default_layout().pki
    )
    assert {(Path(known.name).name, str(known.secret_class)) for known in found} == {
        ("passphrase", "passphrase"),
        ("credential.pem", "admin key"),
        ("ca.key", "embedded host key"),
        ("kubeconfig.yaml", "embedded host key"),
    }


def scan(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    code = main.main(["scan", "--stack", "dev", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_s1_a_stack_whose_secrets_are_at_home_passes(
    host: FakeConnection, machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = scan(capsys)
    assert (code, report["unexpectedHits"], report["missingHits"], report["unread"]) == (0, [], [], [])
    assert report["secrets"] == 14


@pytest.mark.parametrize("place", ["path", "state", "ConfigMap", "log", "other Secret", "token"])
def test_s1_a_leak_fails(place: str, host: FakeConnection, machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leaked, name = SECRETS["dev-store-message"]["message"], "dev-store-message/message"
    (machine / "up.log").write_bytes(b"harmless")
    if place == "path":
        (machine / "up.log").write_bytes(b"value: " + base64.b64encode(leaked))
    elif place == "state":
        (paths.pulumi_backend_dir() / "dev.json.bak").write_bytes(json.dumps({"value": leaked.decode()}).encode())
    elif place == "ConfigMap":
        host.add(f"{NAMESPACE}/configmaps", "dev-operations", data={"a": leaked.decode()})
    elif place == "token":
        name = "inner kinky-system/host-store-token/token"
        host.answers[("GET", f"{NAMESPACE}/pods/launcher/log")] = lambda _body: Reply(200, b"got " + STORE_TOKEN)
    elif place == "log":
        host.answers[("GET", f"{NAMESPACE}/pods/launcher/log")] = lambda _body: Reply(200, b"got " + leaked)
    else:
        host.add(f"{NAMESPACE}/secrets", "dev-pki-copy", stringData={"a": leaked.decode()})
    code, report = scan(capsys, str(machine / "up.log"))
    assert code == 2
    (hit,) = report["unexpectedHits"]  # type: ignore[misc]
    assert hit["secret"] == name
    assert report["missingHits"] == []


def add_secret(host: FakeConnection, name: str, data: dict[str, bytes], **fields: object) -> None:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    host.add(f"{NAMESPACE}/secrets", name, data=encoded, **fields)


def test_s1_a_secret_may_hold_its_own_keys_only(
    host: FakeConnection, machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker whose Secret has the CA's key too: of the same class, and in a Secret where keys are at home."""
    worker = "dev-worker-0-credentials-12345678"
    add_secret(host, worker, SECRETS[worker] | {"ca.key": PKI["ca.key"]})
    code, report = scan(capsys)
    assert code == 2
    found = {(hit["name"], hit["secret"]) for hit in report["unexpectedHits"]}  # type: ignore[attr-defined]
    assert found == {(worker, "dev-pki/ca.key"), ("dev-pki", f"{worker}/ca.key")}


def test_s1_a_value_of_one_secret_in_another_one_of_the_store_fails(
    host: FakeConnection, machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leaked = SECRETS["dev-store-message"]["message"].decode()
    add_secret(host, "dev-store-other", {"value": b"another value"}, note=leaked)
    code, report = scan(capsys)
    assert code == 2
    (hit,) = report["unexpectedHits"]  # type: ignore[misc]
    assert (hit["name"], hit["secret"]) == ("dev-store-other", "dev-store-message/message")


def test_a_value_that_was_set_under_two_names_is_at_home_in_both(
    host: FakeConnection, machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_secret(host, "dev-store-other", {"value": SECRETS["dev-store-message"]["message"]})
    code, report = scan(capsys)
    assert (code, report["unexpectedHits"], report["missingHits"]) == (0, [], [])


def test_a_credential_that_others_can_read_fails(
    host: FakeConnection, machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (paths.stack_dir("dev") / "credential.pem").chmod(0o644)
    code, report = scan(capsys)
    assert code == 2
    assert [hit["kind"] for hit in report["unexpectedHits"]] == ["cluster folder"]  # type: ignore[attr-defined]


def test_a_blind_scanner_fails(
    host: FakeConnection, machine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kinky.scan.search.Needles.search", lambda _self, _data: set())
    code, report = scan(capsys)
    assert code == 2
    assert len(report["missingHits"]) == 13  # type: ignore[arg-type]


def test_no_path_that_is_absent(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["scan", "--stack", "dev", "/absent/file"]) == 64
    assert capsys.readouterr().err == "no such file or folder: /absent/file\nhint: name what is there, or nothing\n"


def test_paths_and_staged_exclude_each_other() -> None:
    with pytest.raises(SystemExit) as end:
        main.main(["scan", "--staged", "/tmp"])
    assert end.value.code == 64
