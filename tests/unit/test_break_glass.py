"""The break-glass certificate: short, usable without a command, kept nowhere, and written down before it is given."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kinky.cli import main
from kinky.errors import HostError
from kinky.keys import certificates, material
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.ownership import orphans, record
from kinky.reach import break_glass, credential
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
CONFIG_MAPS = "/api/v1/namespaces/ns/configmaps"
SERVER = "https://127.0.0.1:17173"
REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.fixture
def cluster(host: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    """A host with the keys of cluster dev, and this machine with its kubeconfig."""
    monkeypatch.setattr("kinky.reach.host.find_host", lambda _config: ACCESS)
    host.answer("POST", REVIEWS, {"status": {"userInfo": {"username": "alice@example.com"}}}, status=201)
    record.ensure_record(HostApi.connect(ACCESS), "organization/kinky/dev", {})
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    credential.write_inner_kubeconfig(HostApi.connect(ACCESS), "dev", SERVER, kinky_command="/venv/bin/kinky")
    return host


def run(*arguments: str) -> int:
    return main.main(["kubeconfig", "--stack", "dev", *arguments])


def recorded(host: FakeConnection) -> dict[str, Any]:
    (body,) = [body for path, body in host.objects.items() if path.startswith(f"{CONFIG_MAPS}/dev-break-glass-")]
    return body


def test_it_is_a_kubeconfig_of_its_own_for_the_hours_asked(
    cluster: FakeConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--break-glass", "the host goes down tonight", "--hours", "3") == 0
    printed = capsys.readouterr()
    body = json.loads(printed.out)
    assert body["clusters"][0]["cluster"]["server"] == SERVER
    assert body["clusters"][0]["cluster"]["tls-server-name"] == "api.dev.kinky.internal"
    user = {key: base64.b64decode(text) for key, text in body["users"][0]["user"].items()}
    assert set(user) == {"client-certificate-data", "client-key-data"}
    leaf = x509.load_pem_x509_certificate(user["client-certificate-data"])
    assert "certificate-authority" not in body["clusters"][0]["cluster"], "this machine's file may be gone by then"
    ca = base64.b64decode(body["clusters"][0]["cluster"]["certificate-authority-data"])
    assert certificates.is_issued_by(user["client-certificate-data"], ca)
    assert load_pem_private_key(user["client-key-data"], None).public_key() == leaf.public_key()
    left = leaf.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(hours=3) - timedelta(minutes=1) < left <= timedelta(hours=3)
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    assert str(leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value).startswith("kinky:break-glass:")
    name = recorded(cluster)["metadata"]["name"]
    until = certificates.format_time(leaf.not_valid_after_utc)
    assert printed.err == f"valid until {until} and not to be revoked; recorded as ConfigMap ns/{name}\n"


def test_the_host_remembers_who_when_why_and_which(
    cluster: FakeConnection, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run("--break-glass", " etcd is stuck ")
    user = json.loads(capsys.readouterr().out)["users"][0]["user"]
    certificate = base64.b64decode(user["client-certificate-data"])
    body = recorded(cluster)
    data = body["data"]
    assert body["immutable"] is True
    assert data.pop("admin") == credential.describe_admin()
    assert certificates.parse_time(data.pop("madeAt")) <= datetime.now(UTC)
    assert data == {
        "hostUser": "alice@example.com",
        "reason": "etcd is stuck",
        "fingerprint": certificates.build_fingerprint(certificate),
        "notAfter": certificates.format_time(certificates.fetch_not_after(certificate)),
    }
    assert f"ConfigMap/{body['metadata']['name']}" in orphans.delete_orphans(HostApi.connect(ACCESS))
    for path in (tmp_path / "state").rglob("*"):
        assert path.is_dir() or "client-key-data" not in path.read_text()


def test_two_are_two_records(cluster: FakeConnection) -> None:
    run("--break-glass", "one")
    run("--break-glass", "two")
    reasons = {body["data"]["reason"] for path, body in cluster.objects.items() if "break-glass" in path}
    assert reasons == {"one", "two"}


def test_no_record_no_certificate(cluster: FakeConnection, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.answer("POST", CONFIG_MAPS, {"reason": "Forbidden", "message": "no"}, status=403)
    assert run("--break-glass", "why not") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "cannot create ConfigMap dev-break-glass-" in printed.err


def test_whoever_may_not_read_the_ca_gets_none(cluster: FakeConnection) -> None:
    del cluster.objects["/api/v1/namespaces/ns/secrets/dev-pki"]
    with pytest.raises(HostError, match="Secret dev-pki is not there in namespace ns"):
        break_glass.make_break_glass(HostApi.connect(ACCESS), "dev", {}, hours=1, reason="x")
    assert not [path for path in cluster.objects if "break-glass" in path]


def test_the_record_never_shows_the_key_in_a_repr(cluster: FakeConnection, tmp_path: Path) -> None:
    ordinary = json.loads((tmp_path / "state/clusters/dev/kubeconfig.yaml").read_text())
    made = break_glass.make_break_glass(HostApi.connect(ACCESS), "dev", ordinary, hours=1, reason="x")
    assert "client-key-data" in made.kubeconfig
    assert "client" not in repr(made)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--break-glass", " "), "--break-glass needs a reason, which is recorded on the host\n"),
        (
            ("--break-glass", "x", "--hours", "25"),
            "--hours is 25: must be from 1 to 24, because it cannot be revoked\n",
        ),
        (
            ("--break-glass", "x", "--hours", "-1"),
            "--hours is -1: must be from 1 to 24, because it cannot be revoked\n",
        ),
        (
            ("--hours", "2"),
            "--hours has a meaning only with --break-glass\nhint: any other kubeconfig holds no certificate\n",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_host_is_asked(
    cluster: FakeConnection, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    cluster.calls.clear()
    assert run(*arguments) == 64
    assert capsys.readouterr().err == message
    assert cluster.calls == []


def test_the_ordinary_kubeconfig_is_what_it_was(cluster: FakeConnection, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert json.loads(capsys.readouterr().out)["users"][0]["user"]["exec"]["command"] == "/venv/bin/kinky"
