"""A door before a registry on loopback: TLS with a CA of ours, and a login by name and password."""

from __future__ import annotations

import base64
import contextlib
import http.client
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kinky.keys import material
from kinky.keys.certificates import LeafRequest, Pair, make_leaf

NAME, PASSWORD = "ada", "a-password-of-the-test"
HOP = {"connection", "transfer-encoding", "content-length", "authorization", "host"}
"""Headers that belong to one of the two connections."""


@dataclass(frozen=True)
class Door:
    """The open door."""

    address: str
    ca_file: Path


@contextlib.contextmanager
def opened(folder: Path, registry: str) -> Iterator[Door]:
    """Keep the door to a registry open until the end of the block."""
    files = material.make_cluster_files("registry")
    request = LeafRequest(common_name="registry", addresses=["127.0.0.1"], server=True, life=timedelta(days=1))
    served = make_leaf(Pair(files["ca.crt"], files["ca.key"]), request)
    ca_file, pair_file = folder / "registry-ca.crt", folder / "registry.pem"
    ca_file.write_bytes(files["ca.crt"])
    pair_file.touch(mode=0o600)
    pair_file.write_bytes(served.certificate + served.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair_file)
    handler = type("Handler", (Porter,), {"registry": registry})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Door(f"127.0.0.1:{server.server_port}", ca_file)
        finally:
            server.shutdown()
            thread.join()


class Porter(BaseHTTPRequestHandler):
    """Lets a request with the right login through, and hands back the registry's answer."""

    registry: str
    protocol_version = "HTTP/1.1"
    wanted = "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()

    def answer(self) -> None:
        """Answer one request."""
        body = self.read_body()
        if self.headers.get("Authorization") != self.wanted:
            self.reply(401, {"WWW-Authenticate": 'Basic realm="registry"'}, b"")
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        with contextlib.closing(http.client.HTTPConnection(self.registry, timeout=60)) as inside:
            inside.request(self.command, self.path, body=body, headers={**headers, "Content-Length": str(len(body))})
            found = inside.getresponse()
            answered = {name: value for name, value in found.getheaders() if name.lower() not in HOP}
            length = found.getheader("Content-Length")
            self.reply(found.status, answered, found.read(), length=length)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def read_body(self) -> bytes:
        """Return the body; crane sends a layer in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def reply(self, status: int, headers: dict[str, str], body: bytes, *, length: str | None = None) -> None:
        """Send one answer; that to HEAD has the length of a body which it does not bring."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        head = self.command == "HEAD" and length is not None
        self.send_header("Content-Length", length if head and length else str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a test that fails shows what crane said."""
