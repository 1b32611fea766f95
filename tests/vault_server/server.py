"""HTTPS in front of the server: `VaultServer` is a context manager for tests, `serve` runs it for a process."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import ssl
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.vault_server.faults import Fault, Faults
from tests.vault_server.messages import RefusedError, Request, Response, parse_body
from tests.vault_server.vault import Vault

SLOW_SECONDS = 30.0
"""How late an answer comes with the fault `slow`: later than a client with a sound time limit waits."""
IDLE_SECONDS = 90.0
METHODS = {"GET": "read", "HEAD": "read", "LIST": "list", "POST": "update", "PUT": "update", "DELETE": "delete"}


class Handler(http.server.BaseHTTPRequestHandler):
    """Takes HTTP off a request and puts it on a response."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Head and body leave together: apart, the second waits for the client's delayed acknowledgement.
    wbufsize = -1
    server: Listener

    def setup(self) -> None:
        """Shake hands here, in the connection's own thread, so that a silent client holds up nobody."""
        self.request.settimeout(IDLE_SECONDS)
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        """Close what `setup` made; the server itself knows only the socket without TLS."""
        super().finish()
        self.request.close()

    def _serve(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        vault = self.server.owner
        if vault.faults.has(Fault.UNREACHABLE):
            self.close_connection = True
            return
        if vault.faults.has(Fault.SLOW):
            vault.stopping.wait(vault.slow_seconds)
        self._send(self._answer(content))

    do_GET = do_HEAD = do_LIST = do_POST = do_PUT = do_DELETE = _serve

    def _answer(self, content: bytes) -> Response:
        place = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(place.query))
        path = urllib.parse.unquote(place.path)
        if not path.startswith("/v1/"):
            return Response(404, {"errors": []})
        operation = METHODS[self.command]
        if operation == "read" and query.get("list") in {"true", "1"}:
            operation = "list"
        token = self.headers.get("X-Vault-Token") or self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            data = parse_body(content)
        except RefusedError as error:
            return error.response
        request = Request(operation, path.removeprefix("/v1/").strip("/"), data, query, token)
        try:
            return self.server.owner.vault.answer(request)
        except Exception as error:
            # Never its text, which may quote a value.
            sys.stderr.write(f"fault of the test server: {type(error).__name__} for {operation} {request.path}\n")
            return Response(500, {"errors": ["internal error"]})

    def _send(self, response: Response) -> None:
        content = b"" if response.body is None else json.dumps(response.body).encode() + b"\n"
        self.send_response(response.status)
        if response.body is not None:
            self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        if response.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Listener(http.server.ThreadingHTTPServer):
    """One listening socket."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, owner: VaultServer, listening: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(listening.getsockname()[:2], Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.owner, self.context = listening, owner, context

    def verify_request(self, *_: Any) -> bool:
        """Close a connection before the handshake while the server is to be unreachable."""
        return not self.owner.faults.has(Fault.UNREACHABLE)

    def handle_error(self, *_: Any) -> None:
        """Say nothing of a client that went away or does not trust the certificate."""


class VaultServer:
    """A running server; all it holds is gone when it ends."""

    def __init__(
        self,
        *,
        root_token: str,
        certificate: Path,
        key: Path,
        faults: Path,
        sockets: Sequence[socket.socket] = (),
        slow_seconds: float = SLOW_SECONDS,
    ) -> None:
        """Take what it needs; without sockets it listens on a free port of loopback."""
        self.faults = Faults(faults)
        self.vault = Vault(root_token, self.faults)
        self.slow_seconds = slow_seconds
        self.stopping = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        self._listeners = [Listener(self, each, context) for each in sockets or [listen("127.0.0.1:0")]]

    @property
    def address(self) -> str:
        """The URL of the first socket."""
        host, port = self._listeners[0].socket.getsockname()[:2]
        return f"https://{host}:{port}"

    def __enter__(self) -> VaultServer:
        for listener in self._listeners:
            threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        for listener in self._listeners:
            listener.shutdown()
            listener.server_close()


def listen(address: str) -> socket.socket:
    """Return a listening socket on ADDRESS:PORT."""
    host, _, port = address.rpartition(":")
    return socket.create_server((host, int(port)), backlog=128)


@contextlib.contextmanager
def open_sockets(address: str, inherited: int | None) -> Iterator[list[socket.socket]]:
    """Open the sockets of a process: its own, and one that its parent opened, perhaps in another network namespace."""
    sockets = [listen(address)]
    if inherited is not None:
        sockets.append(socket.socket(fileno=inherited))
    yield sockets
