"""A learning switch for QEMU's stream sockets, so that machines and QEMU's own gateway share one Ethernet segment.

QEMU's hub would show every frame to the gateway, which answers connections between machines with resets.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_LENGTH_BYTES = 4
_MAC_BYTES = 6
_READ_BYTES = 1 << 16
_GROUP_BIT = 1


class Switch:
    """Ports by name, the addresses seen behind them, and the bytes of frames that have not fully arrived."""

    def __init__(self) -> None:
        """Start without ports."""
        self._ports: dict[socket.socket, bytearray] = {}
        self._behind: dict[bytes, socket.socket] = {}

    def attach(self, port: socket.socket) -> None:
        """Take a connection as a new port."""
        self._ports[port] = bytearray()

    def detach(self, port: socket.socket) -> None:
        """Forget a port and what was behind it."""
        del self._ports[port]
        self._behind = {address: where for address, where in self._behind.items() if where is not port}

    def receive(self, port: socket.socket, body: bytes) -> None:
        """Take bytes from a port and pass on every frame that is whole: to its owner's port, or to all others."""
        buffer = self._ports[port]
        buffer += body
        while len(buffer) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(buffer[:_LENGTH_BYTES], "big")
            if len(buffer) < end:
                return
            packet = bytes(buffer[:end])
            del buffer[:end]
            self._forward(port, packet)

    def _forward(self, port: socket.socket, packet: bytes) -> None:
        frame = packet[_LENGTH_BYTES:]
        target, source = frame[:_MAC_BYTES], frame[_MAC_BYTES : 2 * _MAC_BYTES]
        self._behind[source] = port
        known = None if target[0] & _GROUP_BIT else self._behind.get(target)
        for other in [known] if known else list(self._ports):
            if other is not port:
                _send(other, packet)


@contextmanager
def running(paths: Sequence[Path]) -> Iterator[None]:
    """Listen on one Unix socket for each machine and switch frames between them while the block runs."""
    selector = selectors.DefaultSelector()
    listeners = []
    for path in paths:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(1)
        selector.register(listener, selectors.EVENT_READ, data="listener")
        listeners.append(listener)
    wake, woken = socket.socketpair()
    selector.register(woken, selectors.EVENT_READ, data="end")
    thread = threading.Thread(target=_serve, args=(selector,), daemon=True, name="segment")
    thread.start()
    try:
        yield
    finally:
        wake.send(b".")
        thread.join()
        for each in (*listeners, wake, woken):
            each.close()


def _serve(selector: selectors.BaseSelector) -> None:
    switch = Switch()
    while True:
        for key, _ in selector.select():
            found = key.fileobj
            if key.data == "end" or not isinstance(found, socket.socket):
                return
            if key.data == "listener":
                port, _address = found.accept()
                switch.attach(port)
                selector.register(port, selectors.EVENT_READ, data="port")
                continue
            body = _read(found)
            if body:
                switch.receive(found, body)
            else:
                selector.unregister(found)
                switch.detach(found)
                found.close()


def _read(port: socket.socket) -> bytes:
    try:
        return port.recv(_READ_BYTES)
    except ConnectionResetError:
        return b""


def _send(port: socket.socket, packet: bytes) -> None:
    # A machine that is going away is detached when its own end is read.
    with suppress(BrokenPipeError, ConnectionResetError):
        port.sendall(packet)
