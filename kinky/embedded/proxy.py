"""The way in: a listener on loopback, opened outside the sandbox, that carries bytes to the API server inside it.

A socket keeps the network namespace it was made in. So the listening socket stays on the machine's loopback while each
connection to the API server is made in the sandbox. Bytes are carried untouched: TLS, watches, websockets and
port-forwards pass, each direction is closed on its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

CHUNK_BYTES = 256 * 1024
KEEPALIVE_SECONDS = 30


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


def serve_in_thread(listener: socket.socket, host: str, port: int) -> threading.Thread:
    """Carry every connection of the listener to the address, in a daemon thread."""

    def loop() -> None:
        asyncio.run(_serve(listener, host, port))

    thread = threading.Thread(target=loop, name="proxy", daemon=True)
    thread.start()
    return thread


async def _serve(listener: socket.socket, host: str, port: int) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _carry(reader, writer, host, port)

    server = await asyncio.start_server(accept, sock=listener, limit=CHUNK_BYTES)
    async with server:
        await server.serve_forever()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    """Carry one connection in both directions until both sides have closed theirs or one broke."""
    try:
        inner_reader, inner_writer = await asyncio.open_connection(host, port, limit=CHUNK_BYTES)
    except OSError:
        # Nothing to say: the client sees a closed connection, as it would from an API server that is starting.
        await _close(writer)
        return
    for stream in (writer, inner_writer):
        _tune(stream)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(reader, inner_writer))
            group.create_task(_pump(inner_reader, writer))
    except* OSError:
        # One side is gone, so the task group has stopped the other direction.
        pass
    finally:
        await _close(writer)
        await _close(inner_writer)


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
