"""The embedded host's door: a socket of its sandbox through which this machine reaches pods by plain TCP.

The client sends one line with the pod's address and port. The sandbox answers with a line, and then carries bytes.
`kinky/embedded/proxy.py` is the other side.
"""

import asyncio
import contextlib
from pathlib import Path

from kinky.kube.port_forward import StreamError

DIAL_SECONDS = 10.0
CHUNK_BYTES = 65536


class DoorStream:
    """One open connection to a port of a pod; unlike a port-forward, it passes the client's end on to the pod."""

    carries_end = True

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, target: str) -> None:
        """Use the connection; `target` names pod and port for messages."""
        self._reader = reader
        self._writer = writer
        self._target = target

    async def receive(self) -> bytes:
        """Receive some bytes; none when the pod has closed its direction. Raises StreamError when it is lost."""
        try:
            return await self._reader.read(CHUNK_BYTES)
        except OSError as error:
            raise self._lost(error) from None

    async def send(self, payload: bytes) -> None:
        """Send bytes, waiting for a slow pod; raises StreamError when the connection is lost."""
        try:
            self._writer.write(payload)
            await self._writer.drain()
        except OSError as error:
            raise self._lost(error) from None

    async def send_end(self) -> None:
        """Signal to the pod that no more bytes come."""
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    async def close(self) -> None:
        """Close the connection."""
        self._writer.transport.abort()

    def _lost(self, error: OSError) -> StreamError:
        return StreamError(f"{self._target}: connection lost ({type(error).__name__})")


async def dial_door(door: Path, *, pod: str, address: str, port: int) -> DoorStream:
    """Open a connection to a port of a pod of the embedded host.

    Raises:
        StreamError: There is no door, or the pod does not accept.
    """
    target = f"pod {pod}, port {port}"
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(DIAL_SECONDS):
            reader, writer = await asyncio.open_unix_connection(door, limit=CHUNK_BYTES)
            writer.write(f"{address}:{port}\n".encode())
            answer = await reader.readline()
        if answer == b"open\n":
            return DoorStream(reader, writer, target=target)
        raise StreamError(f"{target}: the pod does not accept connections")
    except OSError as error:  # TimeoutError is an OSError
        _abort(writer)
        raise StreamError(f"{target}: no way through the embedded host ({type(error).__name__})") from None
    except BaseException:
        _abort(writer)
        raise


def _abort(writer: asyncio.StreamWriter | None) -> None:
    if writer is not None:
        writer.transport.abort()
