"""An environment without proxies, a server, and a proxy that leads to it."""

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kinky.kube.connection import open_host
from tests.unit.host_server import HostServer, serve, write_kubeconfig

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
