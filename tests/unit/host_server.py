"""A host's API as tests see it: an HTTPS server on loopback with a CA of its own, and kubeconfigs for it."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kinky.keys.certificates import LeafRequest, Pair, make_ca, make_leaf
from kinky.kube.access import HostAccess

TOKEN = "token-of-the-operator-0123456789"


@cache
def ca() -> Pair:
    """Return the CA of the tests' servers."""
    return make_ca("lab")


@cache
def client_pair() -> Pair:
    """Return a client certificate of that CA."""
    return make_leaf(ca(), LeafRequest(common_name="me", life=timedelta(hours=1)))


def encode(content: bytes) -> str:
    """Encode as the keys with -data have it."""
    return base64.b64encode(content).decode()


def write_context(folder: Path, addresses: tuple[str, ...] = ("127.0.0.1", "::1")) -> ssl.SSLContext:
    """Make a server's context; a client certificate is asked for, and may be absent."""
    request = LeafRequest(
        common_name="server", addresses=list(addresses), dns_names=["localhost"], server=True, life=timedelta(hours=1)
    )
    pair = make_leaf(ca(), request)
    (folder / "server.pem").write_bytes(pair.certificate + pair.key)
    (folder / "ca.pem").write_bytes(ca().certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


class HostServer:
    """Answers of a fake API by verb and path, and the requests that it saw."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: dict[tuple[str, str], tuple[int, object]] = {}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.headers: list[list[tuple[str, str]]] = []
        """All headers of each request, also those of one name."""
        self.callers: list[str] = []
        """The common name in each caller's certificate; empty without one."""
        self.date: str | None = None
        """What the header Date says; None for the time of now."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                outer.seen.append((self.command, self.path, dict(self.headers), body))
                outer.headers.append(list(self.headers.items()))
                shown = self.connection.getpeercert()  # type: ignore[attr-defined]
                outer.callers.append(shown["subject"][0][0][1] if shown else "")
                status, answer = outer.answers.get((self.command, self.path.partition("?")[0]), (404, {}))
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(timestamp) if outer.date is None else outer.date

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.socket = write_context(folder).wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        self.url = f"https://127.0.0.1:{self.port}"

    def last(self, header: str) -> list[str]:
        """Return the values of a header in the last request."""
        return [value for name, value in self.headers[-1] if name.lower() == header.lower()]


@contextmanager
def serve(folder: Path) -> Iterator[HostServer]:
    """Run a server while the block runs."""
    made = HostServer(folder)
    thread = threading.Thread(target=made.http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        made.http.shutdown()
        thread.join()
        made.http.server_close()


def build_kubeconfig(url: str, **changes: Any) -> dict[str, Any]:
    """Build a kubeconfig with one context; `cluster` and `user` replace the two sections."""
    cluster = {"server": url, "certificate-authority-data": encode(ca().certificate)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": changes.get("cluster", cluster | changes.get("more", {}))}],
        "users": [{"name": "me", "user": changes.get("user", {"token": TOKEN})}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "me"}}],
    }


def write_kubeconfig(path: Path, url: str, **changes: Any) -> HostAccess:
    """Write such a kubeconfig."""
    path.write_text(json.dumps(build_kubeconfig(url, **changes)))
    return HostAccess(kubeconfig=str(path), context=None, namespace="ns", cluster="dev")
