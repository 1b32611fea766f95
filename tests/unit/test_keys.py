"""Key material: what certificates say, that it is made once, and that nothing of it leaves."""

import base64
import json
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kinky import paths
from kinky.errors import HostError
from kinky.keys import certificates, material, node_credentials
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.ownership import record
from kinky.reach import credential
from kinky.reach.reach import Reach
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context="lab", namespace="ns", cluster="dev")
SECRETS = "/api/v1/namespaces/ns/secrets"


def stored(host: FakeConnection, name: str) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in host.objects[f"{SECRETS}/{name}"]["data"].items()}


def test_ca_is_one_that_kubeadm_and_tls_stacks_accept() -> None:
    pair = certificates.make_ca("dev ca")
    ca = x509.load_pem_x509_certificate(pair.certificate)
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value.ca
    assert ca.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert ca.not_valid_before_utc < datetime.now(UTC) < ca.not_valid_after_utc - timedelta(days=3600)
    ca.verify_directly_issued_by(ca)
    assert pair.key.decode() not in repr(pair)


def test_cluster_keys_are_complete_and_labelled(host: FakeConnection) -> None:
    record = material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    secret = host.objects[f"{SECRETS}/dev-pki"]
    assert record.secret_name == "dev-pki"
    assert set(secret["data"]) == set(material.FILES)
    assert secret["metadata"]["labels"]["kinky.dev/cluster"] == "dev"
    files = stored(host, "dev-pki")
    cas = {certificates.build_fingerprint(files[f"{name}.crt"]) for name in material.CAS}
    assert len(cas) == 3
    public = load_pem_private_key(files["sa.key"], None).public_key()
    assert public == load_pem_public_key(files["sa.pub"])


def test_encryption_begins_with_secretbox_and_ends_with_identity(host: FakeConnection) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    body = json.loads(stored(host, "dev-pki")["encryption-config.yaml"])
    providers = body["resources"][0]["providers"]
    assert [next(iter(provider)) for provider in providers] == ["secretbox", "identity"]
    assert len(base64.b64decode(providers[0]["secretbox"]["keys"][0]["secret"])) == 32


def test_keys_are_made_once(host: FakeConnection) -> None:
    first = material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    before = dict(host.objects)
    assert material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev") == first
    assert material.fetch_cluster_keys(HostApi.connect(ACCESS), "dev") == first
    assert host.objects == before
    assert not [call for call in host.calls if call[0] in ("PUT", "PATCH", "DELETE")]


def test_a_race_is_won_by_who_creates_first(host: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    made = material.make_cluster_files

    def overtaken(cluster: str) -> dict[str, bytes]:
        monkeypatch.setattr(material, "make_cluster_files", made)
        material.ensure_cluster_keys(HostApi.connect(ACCESS), cluster)
        return made(cluster)

    monkeypatch.setattr(material, "make_cluster_files", overtaken)
    record = material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    assert record.fingerprints["ca.crt"] == certificates.build_fingerprint(stored(host, "dev-pki")["ca.crt"])


@pytest.mark.parametrize(
    ("labels", "data", "expected"),
    [
        ({"kinky.dev/cluster": "dev"}, {"ca.crt": "eA=="}, "missing keys: ca.key"),
        ({"kinky.dev/cluster": "other"}, dict.fromkeys(material.FILES, "eA=="), "kinky.dev/cluster is not dev"),
    ],
)
def test_a_secret_that_is_not_ours_is_refused(
    host: FakeConnection, labels: dict[str, str], data: dict[str, str], expected: str
) -> None:
    before = dict(host.add(SECRETS, "dev-pki", metadata={"labels": labels}, data=data))
    with pytest.raises(HostError, match="cannot be the keys of inner cluster dev") as caught:
        material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    assert expected in str(caught.value)
    assert host.objects[f"{SECRETS}/dev-pki"] == before


def test_records_and_errors_hold_no_private_material(host: FakeConnection) -> None:
    record = material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    credentials = node_credentials.ensure_node_credentials(HostApi.connect(ACCESS), "dev", "dev-worker-0", "10.0.0.1")
    told = repr(record) + repr(credentials)
    for name in ("dev-pki", credentials.secret_name):
        for content in stored(host, name).values():
            assert content.decode() not in told
            assert base64.b64encode(content).decode() not in told
    assert "PRIVATE" not in told


def test_worker_certificates_say_who_it_is(host: FakeConnection) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    record = node_credentials.ensure_node_credentials(HostApi.connect(ACCESS), "dev", "dev-big-pool-3", "10.96.0.9")
    files = stored(host, record.secret_name)
    client = x509.load_pem_x509_certificate(files["kubelet-client.crt"])
    serving = x509.load_pem_x509_certificate(files["kubelet-serving.crt"])
    subject = {attribute.oid: attribute.value for attribute in client.subject}
    assert subject == {NameOID.COMMON_NAME: "system:node:dev-big-pool-3", NameOID.ORGANIZATION_NAME: "system:nodes"}
    names = serving.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["dev-big-pool-3"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["10.96.0.9"]
    usage = serving.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert all(certificates.is_issued_by(files[name], files["ca.crt"]) for name in files if name.endswith("t.crt"))
    labels = host.objects[f"{SECRETS}/{record.secret_name}"]["metadata"]["labels"]
    assert labels["kinky.dev/pool"] == "big-pool"


def test_worker_secret_is_named_by_what_it_certifies(host: FakeConnection) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")

    def ensure(address: str = "10.0.0.1", generation: int = 1) -> str:
        record = node_credentials.ensure_node_credentials(
            HostApi.connect(ACCESS), "dev", "dev-worker-0", address, generation=generation
        )
        return record.secret_name

    assert ensure() == ensure()
    assert len({ensure(), ensure(address="10.0.0.2"), ensure(generation=2)}) == 3


def test_worker_credentials_need_the_cluster_keys(host: FakeConnection) -> None:
    with pytest.raises(HostError, match="Secret dev-pki is not there in namespace ns"):
        node_credentials.ensure_node_credentials(HostApi.connect(ACCESS), "dev", "dev-worker-0", "10.0.0.1")


def test_renewal_is_due_at_half_life() -> None:
    now = datetime.now(UTC)
    assert not node_credentials.is_renewal_due(certificates.format_time(now + timedelta(days=200)))
    assert node_credentials.is_renewal_due(certificates.format_time(now + timedelta(days=180)))


def test_delete_is_content_with_nothing_to_delete(host: FakeConnection) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    material.delete_key_secret(HostApi.connect(ACCESS), "dev-pki")
    material.delete_key_secret(HostApi.connect(ACCESS), "dev-pki")
    assert host.objects == {}


def test_the_record_is_the_first_and_its_own_state_alone_can_remove_it(host: FakeConnection) -> None:
    mine, other = replace(ACCESS, cluster_id="mine"), replace(ACCESS, cluster_id="other")
    record.ensure_record(HostApi.connect(mine), "organization/kinky/dev", {})
    record.ensure_record(HostApi.connect(mine), "organization/kinky/dev", {})
    with pytest.raises(HostError, match="already holds a cluster dev of another stack: organization/kinky/dev"):
        record.ensure_record(HostApi.connect(other), "organization/kinky/dev", {})
    with pytest.raises(HostError, match="holds another inner cluster dev"):
        record.delete_record(HostApi.connect(other))
    assert len(host.objects) == 1
    record.delete_record(HostApi.connect(mine))
    assert host.objects == {}


def test_credential_is_short_and_comes_from_the_cache(host: FakeConnection, tmp_path: Path) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    first = json.loads(credential.fetch_exec_credential(Reach(ACCESS).host, "dev"))["status"]
    leaf = x509.load_pem_x509_certificate(first["clientCertificateData"].encode())
    assert leaf.not_valid_after_utc - datetime.now(UTC) < timedelta(hours=1, seconds=1)
    load_pem_private_key(first["clientKeyData"].encode(), None)
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value.startswith("kinky:")
    assert certificates.parse_time(first["expirationTimestamp"]) < leaf.not_valid_after_utc
    host.down = True
    assert json.loads(credential.fetch_exec_credential(Reach(ACCESS).host, "dev"))["status"] == first
    cached = tmp_path / "state" / "clusters" / "dev" / "credential.pem"
    assert cached.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoil", ["readable by others", "about to expire", "damaged"])
def test_credential_is_signed_anew(
    host: FakeConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    directory = tmp_path / "state" / "clusters" / "dev"
    if spoil == "about to expire":
        monkeypatch.setattr(credential, "CREDENTIAL_LIFE", timedelta(minutes=4))
    first = credential.fetch_exec_credential(Reach(ACCESS).host, "dev")
    if spoil == "readable by others":
        (directory / "credential.pem").chmod(0o644)
    if spoil == "damaged":
        (directory / "credential.pem").write_text("-----BEGIN")
    assert credential.fetch_exec_credential(Reach(ACCESS).host, "dev") != first


def test_the_inner_api_is_asked_with_what_the_host_holds_now(
    host: FakeConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a machine whose own files are from before a rotation that another one has done."""
    monkeypatch.setattr("kinky.kube.inner.open_inner", lambda _access: host)
    directory = tmp_path / "state" / "clusters" / "dev"
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    Reach(ACCESS, "https://x").inner()
    first = (directory / "credential.pem").read_bytes()
    Reach(ACCESS, "https://x").inner()
    assert (directory / "credential.pem").read_bytes() == first
    material.replace_key_files(HostApi.connect(ACCESS), "dev", lambda _files: material.make_cluster_files("dev"))
    Reach(ACCESS, "https://x").inner()
    ca = stored(host, "dev-pki")["ca.crt"]
    assert (directory / "ca.crt").read_bytes() == ca
    assert certificates.is_issued_by((directory / "credential.pem").read_bytes(), ca)


def leave_files(directory: Path) -> list[Path]:
    """Leave what processes that were killed leave: a staged file, and the credential of a rotation's proof."""
    with subprocess.Popen(["true"]) as killed:
        pass
    left = [directory / name for name in (f".credential.pem.{killed.pid}.7", "probe.pem", "probe.crt")]
    for path in left:
        path.write_bytes(b"KEY")
    return left


def test_what_a_killed_kinky_has_left_is_forgotten_too(host: FakeConnection) -> None:
    directory = paths.stack_dir("dev")
    left = leave_files(directory)
    living = directory / f".credential.pem.{os.getpid()}.7"
    living.write_bytes(b"KEY")
    credential.forget_credentials("dev")
    assert not [path for path in left if path.exists()]
    assert living.exists(), "it is about to get its name"


def test_kubeconfig_names_the_command_and_forgetting_removes_all(host: FakeConnection, tmp_path: Path) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    credential.fetch_exec_credential(Reach(ACCESS).host, "dev")
    path = Path(
        credential.write_inner_kubeconfig(
            HostApi.connect(ACCESS), "dev", "https://127.0.0.1:16443", kinky_command="/venv/bin/kinky"
        )
    )
    text = path.read_text()
    served = json.loads(text)["clusters"][0]["cluster"]
    assert served["certificate-authority"] == str(path.parent / "ca.crt"), "a rotation changes the file, not the text"
    assert "certificate-authority-data" not in served
    assert b"PRIVATE" not in (path.parent / "ca.crt").read_bytes()
    run = json.loads(text)["users"][0]["user"]["exec"]
    assert run["command"] == "/venv/bin/kinky"
    expected = "credential --cluster dev --host-kubeconfig /k --host-context=lab --host-namespace ns"
    assert run["args"] == expected.split()
    credential.forget_credentials("dev")
    assert list(path.parent.iterdir()) == []
