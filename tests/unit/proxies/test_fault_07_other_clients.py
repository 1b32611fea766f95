"""Proxies and the other clients of a stack: Pulumi's own connections, and the store's server."""

import json
import os
import subprocess
import sys

import pytest

from kinky.cli import main
from kinky.errors import KinkyError
from kinky.stacks.environment import build_environment
from kinky.stacks.file import read_stack_file
from kinky.vault.connection import VaultAccess, VaultApi, VaultError
from tests.unit.host_server import HostServer
from tests.unit.proxies.conftest import DEAD, Tunnel

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
    access = VaultAccess(address=address, ca=server.folder / "ca.pem", token="t")
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
