"""Proxies of the environment: Go's rules for all callers, loopback never, and an error that names the proxy."""

from pathlib import Path

import pytest

from kinky import proxies
from kinky.errors import KinkyError
from kinky.kube.access import InnerAccess
from kinky.kube.connection import ApiError, open_host, open_inner
from tests.unit.host_server import HostServer, client_pair, write_kubeconfig
from tests.unit.proxies.conftest import DEAD, Tunnel, ask

# The host's API.


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"])
def test_fault_07_loopback_is_never_proxied(server: HostServer, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, DEAD)
    ask(server.folder, server.url)
    ask(server.folder, server.url.replace("127.0.0.1", "localhost"))


@pytest.mark.parametrize("scheme", ["", "http://"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_fault_07_another_host_is_asked_through_the_proxy(
    server: HostServer, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    monkeypatch.setenv(variable, f"{scheme}us%40er:ge%3Aheim@{tunnel.url}")
    ask(server.folder, "https://host.test:6443", **{"tls-server-name": "localhost"})
    assert tunnel.seen == ["host.test:6443"]
    assert tunnel.logins == ["Basic dXNAZXI6Z2U6aGVpbQ=="]


def test_fault_07_the_proxy_of_the_kubeconfig_goes_before_the_environments(
    server: HostServer, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", DEAD)
    monkeypatch.setenv("NO_PROXY", "*")
    ask(
        server.folder, "https://host.test:6443", **{"tls-server-name": "localhost", "proxy-url": f"http://{tunnel.url}"}
    )
    assert tunnel.seen == ["host.test:6443"]


def test_fault_07_a_failed_call_names_the_proxy_without_its_login(
    server: HostServer, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = write_kubeconfig(server.folder / "k", "https://host.test:6443")
    for url, reason in ((DEAD, "connection refused"), (f"http://user:geheim@{tunnel.url}", "the proxy refused (407)")):
        monkeypatch.setenv("https_proxy", url)
        tunnel.status = 407
        with pytest.raises(ApiError) as caught:
            open_host(access).call("GET", "/x", what="get x")
        place = url.rpartition("@")[2]
        assert str(caught.value) == f"host cluster: cannot get x: {reason}, through the proxy {place} of https_proxy"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("socks5://user:geheim@proxy:1080", "the scheme socks5 is not supported, only http and https"),
        ("http://user:geheim@", "it names no host"),
        ("http://user:geheim@proxy:port", "its port is not a number from 0 to 65535"),
        ("http://user:geheim@pro xy:3128", "it names no host"),
        ("http://[::1", "Invalid IPv6 URL"),
    ],
)
def test_fault_07_a_wrong_proxy_is_told_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, told: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    access = write_kubeconfig(tmp_path / "k", "https://host.test:6443")
    with pytest.raises(KinkyError) as caught:
        open_host(access)
    assert f"HTTPS_PROXY holds no usable proxy: {told}" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_fault_07_two_spellings_that_disagree_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go's own library takes the upper case, curl and Python the lower one."""
    monkeypatch.setenv("HTTPS_PROXY", "http://one:3128")
    monkeypatch.setenv("https_proxy", "http://two:3128")
    with pytest.raises(KinkyError, match="HTTPS_PROXY and https_proxy name different proxies"):
        open_host(write_kubeconfig(tmp_path / "k", "https://host.test:6443"))
    monkeypatch.setenv("https_proxy", "http://one:3128")
    open_host(write_kubeconfig(tmp_path / "k", "https://host.test:6443"))


def test_fault_07_the_published_path_is_never_proxied(
    server: HostServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", DEAD)
    (tmp_path / "me.pem").write_bytes(client_pair().certificate + client_pair().key)
    access = InnerAccess(
        cluster="dev",
        server=server.url,
        tls_server_name="localhost",
        ca_file=tmp_path / "ca.pem",
        credential_file=tmp_path / "me.pem",
    )
    assert open_inner(access).call("GET", "/x", what="get x").status == 200
    assert server.callers == ["me"]


# Go's rules for NO_PROXY; the cases are those of golang.org/x/net/http/httpproxy and its comments.


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("", "https://host.test", False),
        ("", "https://127.0.0.1:6443", True),
        ("", "https://127.8.9.10:6443", True),
        ("", "https://[::1]:6443", True),
        ("", "https://[::ffff:127.0.0.1]:6443", True),
        ("", "https://localhost:6443", True),
        ("", "https://localhost.corp:6443", False),
        ("*", "https://host.test", True),
        ("other, *", "https://host.test", True),
        ("host.test", "https://host.test", True),
        ("host.test", "https://a.host.test", True),
        ("host.test", "https://ahost.test", False),
        ("HOST.test", "https://host.TEST", True),
        (".host.test", "https://host.test", False),
        (".host.test", "https://a.host.test", True),
        ("*.host.test", "https://a.host.test", True),
        ("*.host.test", "https://host.test", False),
        ("host.test:6443", "https://host.test:6443", True),
        ("host.test:6443", "https://host.test", False),
        ("host.test:443", "https://host.test", True),
        ("10.0.0.0/8", "https://10.1.2.3:6443", True),
        ("10.0.0.0/8", "https://11.1.2.3:6443", False),
        ("10.0.0.0/8", "https://host.test", False),
        ("10.1.2.3", "https://10.1.2.3:6443", True),
        ("10.1.2.3:6443", "https://10.1.2.3:6443", True),
        ("10.1.2.3:1", "https://10.1.2.3:6443", False),
        ("2.3", "https://10.1.2.3:6443", False),
        ("fd00::/8", "https://[fd00::1]:6443", True),
        ("fd00::1", "https://[fd00::1]:6443", True),
        ("[fd00::1]:6443", "https://[fd00::1]:6443", True),
        ("[fd00::1]:1", "https://[fd00::1]:6443", False),
        (" , ,", "https://host.test", False),
    ],
)
def test_fault_07_no_proxy_is_read_as_go_reads_it(no_proxy: str, url: str, is_direct: bool) -> None:
    environ = {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": no_proxy}
    assert (proxies.find_proxy(url, environ=environ) is None) is is_direct


def test_fault_07_each_scheme_has_its_variable() -> None:
    assert proxies.find_proxy("https://a", environ={"HTTP_PROXY": "p", "ALL_PROXY": "p"}) is None
    assert str(proxies.find_proxy("http://a", environ={"http_proxy": "p"})) == "p:80"
    assert str(proxies.find_proxy("https://a", environ={"HTTPS_PROXY": "", "https_proxy": "https://[fd00::1]"})) == (
        "[fd00::1]:443"
    )
