"""The way to the host is encrypted and verified, and pods will trust the server that they are sent to."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.errors import HostError
from kinky.fit import fit, ports
from kinky.keys.certificates import LeafRequest, make_ca, make_leaf
from kinky.kube.access import HostAccess
from kinky.kube.connection import Connection, UnavailableError, open_host
from kinky.kube.host import HostApi
from kinky.stores import secrets_store
from tests.unit.fake_api import FakeConnection
from tests.unit.host_server import TOKEN, HostServer, ca, client_pair, encode, serve, write_kubeconfig

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
SERVICE = "/api/v1/namespaces/default/services/kubernetes"
FORBIDDEN = {"reason": "Forbidden"}


def refuse_server(folder: Path, url: str, **cluster: Any) -> str:
    access = write_kubeconfig(folder / "kubeconfig.yaml", url, cluster={"server": url, **cluster})
    with pytest.raises(HostError) as caught:
        open_host(access)
    assert TOKEN not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://host.test", "HTTP://host.test:80", "http://[::1]:1"])
def test_fault_15_a_server_without_encryption_is_refused(tmp_path: Path, url: str) -> None:
    told = refuse_server(tmp_path, url)
    assert "clusters[lab].cluster.server: is http: tokens and keys would cross the network unencrypted" in told


@pytest.mark.parametrize("url", ["host.test:6443", "10.0.0.1:6443", "host.test", "//host.test:6443", "ftp://host.test"])
def test_fault_15_a_server_that_client_go_would_ask_by_http_is_refused(tmp_path: Path, url: str) -> None:
    """Without a scheme, client-go takes http, and sends no credential at all."""
    told = refuse_server(tmp_path, url, **{"certificate-authority-data": encode(ca().certificate)})
    assert "clusters[lab].cluster.server: does not begin with https://" in told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://me:geheim@host.test", "holds a user or a password"),
        ("https://:6443", "names no host"),
        ("https://host.test:port", "is not a URL"),
        ("https://host.test?verify=no", "holds more than host, port and path"),
        ("", "is empty"),
    ],
)
def test_fault_15_a_server_that_is_no_plain_url_is_refused(tmp_path: Path, url: str, told: str) -> None:
    text = refuse_server(tmp_path, url)
    assert f"clusters[lab].cluster.server: {told}" in text
    assert "geheim" not in text


def test_fault_15_verification_cannot_be_switched_off_beside_a_ca(tmp_path: Path) -> None:
    told = refuse_server(
        tmp_path,
        "https://host.test",
        **{"insecure-skip-tls-verify": True, "certificate-authority-data": encode(ca().certificate)},
    )
    assert "does not verify the server (insecure-skip-tls-verify)" in told


@pytest.mark.parametrize("content", [b"", b"no certificate", client_pair().key])
def test_fault_15_a_ca_file_that_verifies_nothing_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ca").write_bytes(content)
    told = refuse_server(tmp_path, "https://host.test", **{"certificate-authority": str(tmp_path / "ca")})
    assert "clusters[lab].cluster.certificate-authority: holds no certificate" in told


# The certificate that pods see.


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HostServer]:
    with serve(tmp_path) as made:
        yield made


def open_server(server: HostServer, **more: Any) -> Connection:
    return open_host(write_kubeconfig(server.folder / "kubeconfig.yaml", server.url, more=more))


def test_fault_15_a_pod_would_trust_a_certificate_of_the_ca_that_is_sent_along(server: HostServer) -> None:
    connection = open_server(server)
    assert connection.find_certificate_fault(ca().certificate) == ""
    assert server.last("Authorization") == []
    assert connection.find_certificate_fault(b"PEM") == "the CA is not a certificate"


def test_fault_15_a_proxy_before_the_api_with_a_certificate_of_another_ca_is_seen(server: HostServer) -> None:
    """As with Rancher: the kubeconfig trusts the proxy's CA, pods are told the cluster's."""
    inside = make_ca("cluster").certificate
    assert open_server(server).find_certificate_fault(inside) == "its certificate is not of this CA"
    assert open_server(server).find_certificate_fault(inside + b"\n" + ca().certificate) == ""


def test_fault_15_a_name_that_only_the_kubeconfig_knows_is_seen(server: HostServer) -> None:
    """A pod has the URL alone, and no tls-server-name."""
    request = LeafRequest(common_name="x", dns_names=["localhost"], server=True, life=timedelta(hours=1))
    pair = make_leaf(ca(), request)
    with serve(server.folder) as other:
        (other.folder / "other.pem").write_bytes(pair.certificate + pair.key)
        other.http.socket.context.load_cert_chain(other.folder / "other.pem")  # type: ignore[attr-defined]
        connection = open_server(other, **{"tls-server-name": "localhost"})
        other.answers["GET", "/version"] = (200, {})
        assert connection.call("GET", "/version", what="get the version").status == 200
        fault = connection.find_certificate_fault(ca().certificate)
    assert fault == "its certificate is not for 127.0.0.1"


def test_fault_15_a_server_that_does_not_answer_has_no_verdict(tmp_path: Path) -> None:
    connection = open_host(write_kubeconfig(tmp_path / "k", "https://127.0.0.1:1"))
    with pytest.raises(UnavailableError, match="cannot read the certificate: connection refused"):
        connection.find_certificate_fault(ca().certificate)


# What fit makes of it.


def make_config() -> KinkyConfig:
    host = {"namespace": "ns", "encryptionAtRest": "attested"}
    image = {"reference": "example.test/node:1"}
    return load_config({"cluster": {"name": "dev"}, "host": host, "image": image}, source="test")


@pytest.fixture
def rancher(host: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    """A host whose Service may not be read, behind a proxy with another certificate."""
    host.served = {"kubevirt.io/v1": ["virtualmachines"]}
    host.answer("GET", "/version", {"gitVersion": "v1.36.3"})
    host.answer("GET", SERVICE, FORBIDDEN, status=403)
    host.answer("GET", "/apis/kubevirt.io/v1/kubevirts", FORBIDDEN, status=403)
    host.add("/api/v1/namespaces/default/configmaps", "kube-root-ca.crt", data={"ca.crt": "PEM"})
    # A forward of this machine's user may have the port that follows from the cluster's name.
    monkeypatch.setattr(ports, "is_free", lambda _port: True)
    default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    host.add("/apis/storage.k8s.io/v1/storageclasses", "local", metadata=default)
    host.certificate_fault = "its certificate is not of this CA"
    return host


def test_fault_15_fit_refuses_a_server_that_pods_would_not_trust(rancher: FakeConnection) -> None:
    """The namespace is not there yet: the bundle of another one is the same."""
    with pytest.raises(HostError) as caught:
        fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="me")
    assert (
        "the secrets store cannot trust the host at https://host.test:6443: its certificate is not of this CA,"
        " and pods get the CA of ConfigMap kube-root-ca.crt"
    ) in str(caught.value)
    assert not [call for call in rancher.calls if call[0] != "GET" and "selfsubject" not in call[1]]


def test_fault_15_fit_goes_on_where_pods_trust_the_server_or_use_the_hosts_own_address(rancher: FakeConnection) -> None:
    rancher.certificate_fault = ""
    fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="me")
    rancher.certificate_fault = "its certificate is not of this CA"
    del rancher.answers["GET", SERVICE]
    rancher.add("/api/v1/namespaces/default/services", "kubernetes", spec={"clusterIP": "fd00::1"})
    fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="me")


def test_fault_15_fit_says_what_it_could_not_look_at(rancher: FakeConnection) -> None:
    rancher.answer("GET", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", FORBIDDEN, status=403)
    found = fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="me")
    assert (
        "whether the secrets store's client will trust https://host.test:6443 was not checked:"
        " no ConfigMap kube-root-ca.crt can be read yet"
    ) in found.warnings


def test_fault_15_the_step_looks_again(rancher: FakeConnection) -> None:
    rancher.add("/api/v1/namespaces/ns/configmaps", "kube-root-ca.crt", data={"ca.crt": "PEM"})
    with pytest.raises(HostError, match=r"the secrets store cannot trust the host at https://host\.test:6443"):
        secrets_store.fetch_store_server(HostApi.connect(ACCESS))
    rancher.certificate_fault = ""
    assert secrets_store.fetch_store_server(HostApi.connect(ACCESS)).url == "https://host.test:6443"


def test_fault_15_an_address_of_ipv6_stands_in_brackets(rancher: FakeConnection) -> None:
    del rancher.answers["GET", SERVICE]
    rancher.add("/api/v1/namespaces/default/services", "kubernetes", spec={"clusterIP": "fd00::1"})
    rancher.add("/api/v1/namespaces/ns/configmaps", "kube-root-ca.crt", data={"ca.crt": "PEM"})
    assert secrets_store.fetch_store_server(HostApi.connect(ACCESS)).url == "https://[fd00::1]:443"
