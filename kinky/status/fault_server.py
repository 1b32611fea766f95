"""A server on loopback that fails in one chosen way: what the probes are checked against."""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final

from kinky.keys.certificates import LeafRequest, Pair, make_ca, make_leaf
from kinky.kube.kubeconfig import write_private

LIFE: Final = timedelta(hours=1)
SILENT, RESET, DRIP = "silent", "reset", "drip"
RIGHT, OTHER_CA, OTHER_NAME, EXPIRED, NOT_YET = "right", "other-ca", "other-name", "expired", "not-yet"
DRIP_SECONDS: Final = 0.05
ACCEPT_SECONDS: Final = 0.2
_NUMBERS: Final = itertools.count(1)

Reply = tuple[int, Any]
"""Status, and a body: bytes as they are, anything else as JSON."""


@dataclass(frozen=True)
class Identity:
    """The CA of the self-test, and a foreign CA; made once for all its servers."""

    folder: Path
    names: tuple[str, ...]
    """Names in the certificate of a right server."""
    ca: Pair = field(default_factory=lambda: make_ca("self-test"))
    stranger: Pair = field(default_factory=lambda: make_ca("stranger"))

    @property
    def ca_file(self) -> Path:
        """File with the CA's certificate."""
        return self.folder / "ca.crt"

    @property
    def client_file(self) -> Path:
        """File with a client's certificate and key."""
        return self.folder / "client.pem"

    def write(self) -> Identity:
        """Write both files."""
        client = make_leaf(self.ca, LeafRequest(common_name="self-test", life=LIFE))
        write_private(self.ca_file, self.ca.certificate)
        write_private(self.client_file, client.certificate + client.key)
        return self

    def build_context(self, kind: str) -> ssl.SSLContext:
        """Build the TLS of a server whose certificate is of this kind."""
        signer = self.stranger if kind == OTHER_CA else self.ca
        request = LeafRequest(
            common_name="server",
            dns_names=["elsewhere.test"] if kind == OTHER_NAME else list(self.names),
            addresses=[] if kind == OTHER_NAME else ["127.0.0.1"],
            server=True,
            life=timedelta(minutes=-1) if kind == EXPIRED else LIFE,
            starts_in=timedelta(hours=1) if kind == NOT_YET else timedelta(0),
        )
        leaf = make_leaf(signer, request)
        # A file of its own for each server: OpenSSL reads certificate and key one after the other.
        path = self.folder / f"server-{kind}-{next(_NUMBERS)}.pem"
        write_private(path, leaf.certificate + leaf.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


class FaultServer:
    """A server; its port is taken when it is made."""

    def __init__(
        self,
        identity: Identity,
        *,
        certificate: str = RIGHT,
        fault: str = "",
        tls: bool = True,
        date_offset: float = 0.0,
        answers: Mapping[tuple[str, str], Reply] | None = None,
        answer: Callable[[str, str, bytes], Reply | None] | None = None,
    ) -> None:
        """Choose the fault.

        Args:
            certificate: Which certificate it presents.
            fault: SILENT accepts and never answers; RESET breaks off; DRIP sends a byte now and then.
            date_offset: Seconds by which its clock is ahead.
            answers: By verb and path; a path that is not there is 404.
            answer: Asked before `answers`; None leaves the answer to them.
        """
        self._context = identity.build_context(certificate) if tls else None
        self._fault = fault
        self._date_offset = date_offset
        self._answers = dict(answers or {})
        self._answer = answer
        self._end = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(ACCEPT_SECONDS)
        self.port = int(self._listener.getsockname()[1])

    @contextmanager
    def serve(self) -> Iterator[FaultServer]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._accept, name="fault server", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._end.set()
            thread.join()
            self._listener.close()

    def _accept(self) -> None:
        while not self._end.is_set():
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self._fault == SILENT:
                self._end.wait()
                return
            if self._fault == RESET:
                # No linger: the kernel sends a reset instead of an end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            connection.settimeout(10)
            stream = self._context.wrap_socket(connection, server_side=True) if self._context else connection
            with stream:
                self._converse(stream)

    def _converse(self, stream: socket.socket) -> None:
        """Answer one request, and close: each probe's question has a connection of its own."""
        head, _, body = _read_request(stream)
        method, path = ([*head.split(b" ", 2)[:2], b"", b""])[:2]
        bare = path.decode().partition("?")[0]
        given = self._answer(method.decode(), path.decode(), body) if self._answer else None
        status, content = given or self._answers.get((method.decode(), bare), (404, {"kind": "Status", "code": 404}))
        payload = content if isinstance(content, bytes) else json.dumps(content).encode()
        date = formatdate(time.time() + self._date_offset, usegmt=True)
        lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(payload)}", f"Date: {date}", "Connection: close"]
        lines += ["Location: https://elsewhere.test/"] if 300 <= status < 400 else []
        message = "\r\n".join([*lines, "", ""]).encode() + payload
        if self._fault != DRIP:
            stream.sendall(message)
            return
        for place in range(len(message)):
            stream.sendall(message[place : place + 1])
            if self._end.wait(DRIP_SECONDS):
                return


def _read_request(stream: socket.socket) -> tuple[bytes, bytes, bytes]:
    content = b""
    while True:
        head, separator, body = content.partition(b"\r\n\r\n")
        if separator:
            told = (line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            length = next((int(line.partition(b":")[2]) for line in told), 0)
            if len(body) >= length:
                return head, separator, body
        part = stream.recv(65536)
        if not part:
            return head, separator, body
        content += part
