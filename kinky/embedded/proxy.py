"""The ways into the sandbox: a listener on loopback for the API server, and a door for pods.

A socket keeps the network namespace it was made in. So the listening socket stays on the machine's loopback while each
connection to the API server is made in the sandbox. The door is a Unix socket in the host's private folder, which has
no network namespace. Bytes are carried untouched: TLS, watches, websockets and port-forwards pass, each direction is
closed on its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import threading
from pathlib import Path

CHUNK_BYTES = 256 * 1024
KEEPALIVE_SECONDS = 30
KEEPALIVE_PROBES = 3
PROBE_SECONDS = 10
LOOK_SECONDS = 10.0
"""Pause between two looks at a client that has ended one direction: it may have ended both."""
DOOR_SECONDS = 8.0
"""How long a pod of this machine may take to accept; `reach.host_door` waits a little longer."""


def open_listener(port: int) -> socket.socket:
    """Return a listening socket on 127.0.0.1; an `OSError` tells that the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def serve_in_thread(listener: socket.socket, host: str, port: int, *, door: Path) -> threading.Thread:
    """Carry every connection of the listener to the address, and those of the door to pods, in a daemon thread."""

    def loop() -> None:
        asyncio.run(_serve(listener, host, port, door))

    thread = threading.Thread(target=loop, name="proxy", daemon=True)
    thread.start()
    return thread


async def _serve(listener: socket.socket, host: str, port: int, door: Path) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _carry(reader, writer, host, port)

    # With a path too long for a socket there is no door, and a port-forward is used instead.
    with contextlib.suppress(OSError):
        await asyncio.start_unix_server(open_door, door, limit=CHUNK_BYTES)
    server = await asyncio.start_server(accept, sock=listener, limit=CHUNK_BYTES)
    async with server:
        await server.serve_forever()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    """Carry one connection of the listener to the API server."""
    try:
        inner_reader, inner_writer = await asyncio.open_connection(host, port, limit=CHUNK_BYTES)
    except OSError:
        # Nothing to say: the client sees a closed connection, as it would from an API server that is starting.
        await _close(writer)
        return
    await _join(reader, writer, inner_reader, inner_writer)


async def open_door(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one connection of the door to the address and port in its first line; answer with one line first."""
    try:
        async with asyncio.timeout(DOOR_SECONDS):
            address, _, port = (await reader.readline()).decode().strip().rpartition(":")
            inner_reader, inner_writer = await asyncio.open_connection(address, int(port), limit=CHUNK_BYTES)
    except (OSError, ValueError):
        # The client sees a closed connection; TimeoutError is an OSError, and a bad number a ValueError.
        await _close(writer)
        return
    writer.write(b"open\n")
    await _join(reader, writer, inner_reader, inner_writer)


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    inner_reader: asyncio.StreamReader,
    inner_writer: asyncio.StreamWriter,
) -> None:
    """Carry bytes in both directions until both are closed, one broke, or the client is gone."""
    for stream in (writer, inner_writer):
        _tune(stream)
    whole = False
    pumps = {asyncio.create_task(_pump(reader, inner_writer)), asyncio.create_task(_pump(inner_reader, writer))}
    try:
        while pumps:
            done, pumps = await asyncio.wait(pumps, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            # Each error is fetched, or the event loop would report it.
            errors = [pump.exception() for pump in done]
            if any(errors) or (pumps and _is_gone(writer)):
                return
        whole = True
    finally:
        for pump in pumps:
            pump.cancel()
        for stream in (writer, inner_writer):
            if not whole:
                # A close would wait until the server has read the rest, and it may never read.
                stream.transport.abort()
            await _close(stream)


def _is_gone(writer: asyncio.StreamWriter) -> bool:
    """Tell whether the client has closed both directions; a read cannot tell that from the end of one."""
    raw = writer.get_extra_info("socket")
    if raw.fileno() < 0:
        return True
    poller = select.poll()
    # Poll reports a hang-up without a request for it.
    poller.register(raw.fileno(), 0)
    return bool(poller.poll(0))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _tune(writer: asyncio.StreamWriter) -> None:
    """Send small packets at once, and notice a peer that vanished while a watch is quiet."""
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
        # A pod that was replaced never answers.
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_SECONDS)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
