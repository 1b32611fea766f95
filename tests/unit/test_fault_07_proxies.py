"""Proxies of the environment: Go's rules for all callers, loopback never, and an error that names the proxy."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kinky import proxies
from kinky.cli import main
from kinky.cli.environment import build_environment
from kinky.cli.stack_file import read_stack_file
from kinky.errors import KinkyError
from kinky.kube.access import InnerAccess
from kinky.kube.connection import ApiError, open_host, open_inner
from kinky.vault.connection import VaultAccess, VaultApi, VaultError
from tests.unit.host_server import HostServer, client_pair, serve, write_kubeconfig

DEAD = "http://user:geheim@127.0.0.1:1"
"""A proxy that nobody serves."""
VARIABLES = [f"{name}_PROXY" for name in ("HTTP", "HTTPS", "NO", "ALL")]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*VARIABLES, *map(str.lower, VARIABLES), "grpc_proxy", "no_grpc_proxy"]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HostServer]:
    with serve(tmp_path) as made:
        made.answers["GET", "/x"] = (200, {"ok": True})
        yield made


@dataclass
class Tunnel:
    """A proxy on loopback that leads every CONNECT to one port."""

    url: str = ""
    seen: list[str] = field(default_factory=list)
    logins: list[str | None] = field(default_factory=list)
    status: int = 200


@pytest.fixture
def tunnel(server: HostServer) -> Iterator[Tunnel]:
    made = Tunnel()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            made.seen.append(self.path)
            made.logins.append(self.headers.get("Proxy-Authorization"))
            self.send_response(made.status)
            self.end_headers()
            if made.status != 200:
                return
            with socket.create_connection(("127.0.0.1", server.port)) as far:
                back = threading.Thread(target=pump, args=(far, self.connection))
                back.start()
                pump(self.connection, far)
                back.join()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65536):
                target.sendall(content)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        made.url = f"127.0.0.1:{proxy.server_address[1]}"
        yield made
        proxy.shutdown()
        thread.join()


def ask(folder: Path, url: str, **cluster: str) -> None:
    access = write_kubeconfig(folder / "kubeconfig.yaml", url, more=cluster)
    assert open_host(access).call("GET", "/x", what="get x").status == 200


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


# Pulumi's own parts.

GRPC_CALL = """
import grpc
from concurrent import futures
class Echo(grpc.GenericRpcHandler):
    def service(self, _):
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)
server = grpc.server(futures.ThreadPoolExecutor(1))
server.add_generic_rpc_handlers((Echo(),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    print(channel.unary_unary("/a/b")(b"reached", timeout=5).decode())
server.stop(0)
"""


def call_grpc(environ: dict[str, str]) -> str:
    """Call a server on loopback by gRPC, as Pulumi's parts do among themselves."""
    ended = subprocess.run([sys.executable, "-c", GRPC_CALL], env=environ, capture_output=True, text=True, check=False)
    return ended.stdout.strip()


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy"])
@pytest.mark.parametrize("exempt", [{}, {"no_proxy": "*"}, {"NO_PROXY": "corp.test"}, {"no_grpc_proxy": "corp.test"}])
def test_fault_07_pulumis_own_connections_are_not_proxied(variable: str, exempt: dict[str, str]) -> None:
    environ = {**os.environ, variable: DEAD, **exempt}
    assert call_grpc(environ) == ""
    assert call_grpc({**environ, **build_environment(read_stack_file("dev"), environ=environ)}) == "reached"


def test_fault_07_entries_of_the_user_stay_and_both_spellings_agree() -> None:
    environ = {"NO_PROXY": "corp.test,localhost", "no_proxy": "10.0.0.0/8, corp.test"}
    values = build_environment(read_stack_file("dev"), environ=environ)
    assert values["NO_PROXY"] == values["no_proxy"] == "corp.test,localhost,10.0.0.0/8,127.0.0.1,::1"
    again = build_environment(read_stack_file("dev"), environ=values)
    assert again["NO_PROXY"] == values["NO_PROXY"]


def test_fault_07_kinky_env_gives_plain_pulumi_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "corp.test")
    assert main.main(["env", "--stack", "dev", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["NO_PROXY"] == values["no_proxy"] == "corp.test,localhost,127.0.0.1,::1"


# The server of a secrets store.


def read_vault(server: HostServer, address: str) -> None:
    access = VaultAccess(address=address, authority=server.folder / "ca.pem", token="t")
    assert VaultApi(access).read("x", what="read x") == {"data": {}}


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_fault_07_a_store_on_loopback_is_not_proxied(
    server: HostServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    server.answers["GET", "/v1/x"] = (200, {"data": {}})
    monkeypatch.setenv(variable, DEAD)
    read_vault(server, server.url)


def test_fault_07_a_store_elsewhere_is_asked_through_the_proxy(
    server: HostServer, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["GET", "/v1/x"] = (200, {"data": {}})
    monkeypatch.setenv("https_proxy", f"us%40er:geheim@{tunnel.url}")
    with pytest.raises(VaultError) as caught:
        read_vault(server, "https://host.test:8200")
    assert tunnel.seen == ["host.test:8200"]
    assert tunnel.logins == ["Basic dXNAZXI6Z2VoZWlt"]
    assert f"its TLS certificate is not verified, through the proxy {tunnel.url} of https_proxy" in str(caught.value)
    monkeypatch.setenv("https_proxy", DEAD)
    with pytest.raises(VaultError, match=r"it cannot be reached, through the proxy 127\.0\.0\.1:1 of https_proxy"):
        read_vault(server, "https://host.test:8200")
    monkeypatch.setenv("https_proxy", "socks5://user:geheim@proxy:1080")
    with pytest.raises(KinkyError, match="https_proxy holds no usable proxy") as told:
        read_vault(server, "https://host.test:8200")
    assert "geheim" not in str(told.value)
