"""The switch between the floor's machines, over real socket pairs."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from kinky.nodeimage.segment import Switch

BROADCAST, FIRST, SECOND = b"\xff" * 6, b"\x02" + bytes(4) + b"\x01", b"\x02" + bytes(4) + b"\x02"


def _packet(target: bytes, source: bytes, body: bytes = b"body") -> bytes:
    frame = target + source + body
    return len(frame).to_bytes(4, "big") + frame


Ports = tuple[Switch, list[socket.socket], list[socket.socket]]


@pytest.fixture
def ports() -> Iterator[Ports]:
    """Three ports: the switch's ends, the machines' ends."""
    switch = Switch()
    pairs = [socket.socketpair() for _ in range(3)]
    for inner, outer in pairs:
        switch.attach(inner)
        outer.setblocking(False)
    yield switch, [inner for inner, _ in pairs], [outer for _, outer in pairs]
    for inner, outer in pairs:
        inner.close()
        outer.close()


def _pending(port: socket.socket) -> bytes:
    try:
        return port.recv(1 << 16)
    except BlockingIOError:
        return b""


def test_broadcast_reaches_all_but_its_sender(ports: Ports) -> None:
    switch, inner, outer = ports
    packet = _packet(BROADCAST, FIRST)
    switch.receive(inner[0], packet)
    assert [_pending(port) for port in outer] == [b"", packet, packet]


def test_known_addresses_get_their_frames_alone(ports: Ports) -> None:
    switch, inner, outer = ports
    switch.receive(inner[0], _packet(BROADCAST, FIRST))
    for port in outer:
        _pending(port)
    answer = _packet(FIRST, SECOND)
    switch.receive(inner[1], answer)
    assert [_pending(port) for port in outer] == [answer, b"", b""]


def test_frames_may_arrive_in_pieces_or_together(ports: Ports) -> None:
    switch, inner, outer = ports
    packet = _packet(BROADCAST, FIRST)
    switch.receive(inner[0], packet[:7])
    assert _pending(outer[1]) == b""
    switch.receive(inner[0], packet[7:] + packet)
    assert _pending(outer[1]) == packet + packet


def test_a_port_that_left_is_forgotten(ports: Ports) -> None:
    switch, inner, outer = ports
    switch.receive(inner[0], _packet(BROADCAST, FIRST))
    switch.detach(inner[0])
    packet = _packet(FIRST, SECOND)
    for port in outer:
        _pending(port)
    switch.receive(inner[1], packet)
    assert [_pending(port) for port in outer] == [b"", b"", packet]
