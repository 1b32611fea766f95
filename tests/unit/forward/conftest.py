"""A running forward with its host and guests, and what the tests do to connections."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kinky import paths
from kinky.kube.access import HostAccess
from kinky.reach import forward
from kinky.retry import Pending, wait_until
from tests.unit.fake_forward_guest import Guest, Loop
from tests.unit.fake_forward_host import FakeHost, Pod, free_port

LINGER_RESET = struct.pack("ii", 1, 0)


@dataclass
class Place:
    """A running forward, the host that it uses and the guests behind that."""

    loop: Loop
    host: FakeHost
    guests: dict[str, Guest]
    access: HostAccess
    port: int
    pid: int

    def connect(self, order: str = "", *, buffer: int = 0) -> socket.socket:
        """Open a connection and tell the guest what to do with it."""
        client = socket.socket()
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.settimeout(20)
        client.connect(("127.0.0.1", self.port))
        if order:
            client.sendall(f"{order}\n".encode())
        return client

    def ask(self, order: str) -> bytes:
        """Return everything that the guest sends."""
        with self.connect(order) as client:
            return read_all(client)

    def count_files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def read_status(self, name: str) -> int:
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name}:")))

    @property
    def log(self) -> str:
        return (paths.stack_dir("dev") / forward.LOG_FILE).read_text()


def read_all(client: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(1_000_000):
            parts.append(part)
    return b"".join(parts)


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    client.close()


def until(check: Callable[[], bool], what: str, seconds: float = 20) -> None:
    wait_until(lambda: check() or Pending("not yet"), what=what, deadline_seconds=seconds, every_seconds=0.1)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "state"))
    loop = Loop()
    host = FakeHost(tmp_path)
    guests = {"a": Guest("a"), "b": Guest("b")}
    for guest in guests.values():
        loop.run(guest.start())
    loop.run(host.start())
    host.pods["a"] = Pod(port=guests["a"].port, created="2026-01-02T00:00:00Z")
    access = host.write_kubeconfig(token="very-secret-token")
    port = free_port()
    pid = forward.ensure_forward(access, "dev", local_port=port, wait_seconds=30)
    yield Place(loop, host, guests, access, port, pid)
    forward.stop_all_forwards()
    loop.close()
