"""A host with an endpoint Service, pods behind it and their ports, on loopback.

Its port-forward does what Kubernetes 1.36 and containerd 2 do: one WebSocket, two channels, the port repeated at the
start of each, an error as text on the second channel; after one direction has ended the other has a moment. While
the pod's port takes no bytes, no frame is read from the WebSocket, so that pings are not answered either.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
import socket
import ssl
import struct
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from kinky.keys.certificates import LeafRequest, Pair, make_ca, make_leaf
from kinky.kube.access import HostAccess

NAME = "host.test"
"""The name in the server's certificate; a kubeconfig gives it as tls-server-name."""
SERVICE = "/api/v1/namespaces/ns/services/dev-endpoint"
PODS = "/api/v1/namespaces/ns/pods"
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LIFE = timedelta(hours=1)
GRACE_SECONDS = 0.2
"""One second in containerd."""
ENDS = (OSError, asyncio.IncompleteReadError, asyncio.CancelledError)
"""How a connection ends that nobody closes in order: by its other side, or with the test."""
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@cache
def ca() -> Pair:
    """Return the CA of the server and of its client."""
    return make_ca("lab")


@cache
def client_pair() -> Pair:
    return make_leaf(ca(), LeafRequest(common_name="me", life=LIFE))


def encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def build_context(folder: Path) -> ssl.SSLContext:
    """Build the context of a server that asks for a client certificate."""
    pair = make_leaf(ca(), LeafRequest(common_name="host", dns_names=(NAME,), server=True, life=LIFE))
    (folder / "server.pem").write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(cadata=ca().certificate.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@dataclass
class Pod:
    """A launcher pod and the guest's port behind it."""

    port: int = 0
    """Where the guest listens on this machine; 0 refuses."""
    ready: bool = True
    deleting: bool = False
    phase: str = "Running"
    created: str = "2026-01-01T00:00:00Z"
    address: str = ""
    refuse: int = 0
    """Status with which the host refuses a port-forward to it."""


@dataclass
class FakeHost:
    """The API server: it verifies its callers and lets them verify it."""

    folder: Path
    """Where it keeps its certificate, and a kubeconfig for it."""
    pods: dict[str, Pod] = field(default_factory=dict)
    has_service: bool = True
    dialed: list[str] = field(default_factory=list)
    """Pod of each port-forward that was asked for."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Headers of each port-forward that was asked for."""
    pings: int = 0
    silent: bool = False
    """Takes requests and frames, and answers none."""
    port: int = 0
    open_streams: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        """Listen."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=build_context(self.folder))
        self.port = server.sockets[0].getsockname()[1]

    def write_kubeconfig(self, *, token: str = "", **cluster: Any) -> HostAccess:
        """Write a kubeconfig for it, with a client certificate and perhaps a token; `cluster` replaces keys."""
        server = {
            "server": f"https://127.0.0.1:{self.port}",
            "certificate-authority-data": encode(ca().certificate),
            "tls-server-name": NAME,
            **cluster,
        }
        pair = client_pair()
        user = {"client-certificate-data": encode(pair.certificate), "client-key-data": encode(pair.key)}
        user |= {"token": token} if token else {}
        body = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {name: value for name, value in server.items() if value}}],
            "users": [{"name": "c", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        }
        path = self.folder / "kubeconfig.yaml"
        path.write_text(json.dumps(body))
        return HostAccess(kubeconfig=str(path), context=None, namespace="ns", cluster="dev")

    def drop(self) -> None:
        """Break all port-forwards, as a host that restarts does."""
        for writer in self.open_streams:
            reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(*ENDS):
                while head := await reader.readuntil(b"\r\n\r\n"):
                    lines = head.decode().split("\r\n")
                    path = lines[0].split()[1]
                    headers: dict[str, str] = {}
                    for name, _, value in (line.partition(": ") for line in lines[1:] if line):
                        before = headers.get(name.lower())
                        headers[name.lower()] = value if before is None else f"{before}, {value}"
                    if self.silent:
                        await reader.read()
                    elif "/portforward?" in path:
                        await self._forward(path, headers, reader, writer)
                        return
                    else:
                        answer(writer, *self._answer(path.partition("?")[0]))
        finally:
            writer.close()

    def _answer(self, path: str) -> tuple[int, object]:
        if path == SERVICE:
            return (200, {"spec": {"selector": {"a": "b"}}}) if self.has_service else (404, {"reason": "NotFound"})
        assert path == PODS
        return 200, {"items": [self._describe(name, pod) for name, pod in self.pods.items()]}

    def _describe(self, name: str, pod: Pod) -> dict[str, Any]:
        metadata = {"name": name, "creationTimestamp": pod.created}
        metadata |= {"deletionTimestamp": "T"} if pod.deleting else {}
        conditions = [{"type": "Ready", "status": str(pod.ready)}]
        return {"metadata": metadata, "status": {"phase": pod.phase, "podIP": pod.address, "conditions": conditions}}

    async def _forward(
        self, path: str, headers: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        name = path.removeprefix(f"{PODS}/").partition("/")[0]
        assert path.endswith("/portforward?ports=6443")
        self.dialed.append(name)
        self.headers.append(headers)
        pod = self.pods.get(name)
        if pod is None or pod.refuse:
            answer(writer, pod.refuse if pod else 404, {})
            return
        assert headers["sec-websocket-protocol"] == "v4.channel.k8s.io"
        key = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + MAGIC).digest()).decode()  # noqa: S324
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {key}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n".encode()
        )
        self.open_streams.add(writer)
        try:
            await self._carry(pod, reader, writer)
        finally:
            self.open_streams.discard(writer)

    async def _carry(self, pod: Pod, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for channel in (0, 1):
            send(writer, 2, bytes([channel]) + struct.pack("<H", 6443))
        try:
            guest = await asyncio.open_connection(pod.address or "127.0.0.1", pod.port or 1)
        except OSError:
            send(writer, 2, b"\1failed to connect to localhost:6443 inside namespace")
        else:
            ways = {asyncio.create_task(self._up(reader, writer, guest)), asyncio.create_task(down(writer, guest))}
            done, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if rest:
                await asyncio.wait(rest, timeout=GRACE_SECONDS)
            for way in rest:
                way.cancel()
            if error := next((way.exception() for way in done if way.exception()), None):
                with contextlib.suppress(OSError):
                    send(writer, 2, f"\1error forwarding port 6443: {error}".encode())
            guest[1].transport.abort()
        with contextlib.suppress(OSError):
            send(writer, 8, struct.pack("!H", 1000))

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, guest: Streams) -> None:
        while True:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                kind, payload = await receive(reader)
                if kind == 9:
                    self.pings += 1
                    if not self.silent:
                        send(writer, 10, payload)
                elif kind == 2:
                    assert payload[:1] == b"\0"
                    guest[1].write(payload[1:])
                    await guest[1].drain()
                else:
                    return
                continue
            return


async def down(writer: asyncio.StreamWriter, guest: Streams) -> None:
    while payload := await guest[0].read(32768):
        send(writer, 2, b"\0" + payload)
        await writer.drain()


def answer(writer: asyncio.StreamWriter, status: int, body: object) -> None:
    content = json.dumps(body).encode()
    writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)


def send(writer: asyncio.StreamWriter, kind: int, payload: bytes) -> None:
    size = len(payload)
    head = bytes([0x80 | kind, size]) if size < 126 else struct.pack("!BBH", 0x80 | kind, 126, size)
    writer.write(head + payload)


async def receive(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, second = await reader.readexactly(2)
    assert first & 0x80 and second & 0x80, "client frames are whole and masked"
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(size)
    key = int.from_bytes((mask * (size // 4 + 1))[:size])
    return first & 0x0F, (int.from_bytes(payload) ^ key).to_bytes(size)


def free_port() -> int:
    """Find a port for a forward, outside the range from which other tests' servers and clients get theirs."""
    while True:
        port = 20000 + secrets.randbelow(10000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by a reset."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
