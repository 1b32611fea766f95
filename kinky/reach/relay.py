"""Carries each connection of a loopback port over a stream of its own, so that the end of one affects no other.

All buffers are limited: a slow reader stops only the other side of its own connection. A connection has two tasks and
two sockets, and frees them when its stream ends or its client is gone.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from kinky.kube.port_forward import StreamError
from kinky.reach.forward import LOOPBACK

CHUNK_BYTES = 65536
OPENING_BYTES = 16384
"""A TLS client sends less than this before the first answer, and no request, so it can be sent again."""
REPEAT_SECONDS = 5.0
"""A client must learn within seconds that no target answers."""
AFTER_END_SECONDS = 20.0
"""Limit for a pause in the answer after the client's end, if the stream cannot pass that end on."""
FLUSH_SECONDS = 600.0
"""The last buffers of a log may wait minutes for a person who reads page by page."""
LINGER_SECONDS = 2.0


class Stream(Protocol):
    """The other side of a connection; each method raises StreamError when it is lost."""

    @property
    def carries_end(self) -> bool:
        """Whether the other side learns that the client has sent everything."""

    async def receive(self) -> bytes:
        """Receive some bytes; empty at the end."""

    async def send(self, payload: bytes) -> None:
        """Send bytes, waiting for a slow receiver."""

    async def send_end(self) -> None:
        """Signal that no more bytes come, if the protocol can do that."""

    async def close(self) -> None:
        """Close the stream."""


Dial = Callable[[Collection[str]], Awaitable[tuple[str, Stream]]]
"""Opens a stream to a target that was not tried, and returns it with the target's name."""


@dataclass
class _Opening:
    """The bytes that a client sent before the first answer; they can be sent again to another target."""

    sent: bytearray = field(default_factory=bytearray)
    answered: bool = False

    def keep(self, chunk: bytes) -> None:
        """Keep bytes of the client until the first answer."""
        if not self.answered and len(self.sent) <= OPENING_BYTES:
            self.sent += chunk

    def close(self) -> None:
        """Note the first answer."""
        self.answered = True
        self.sent.clear()

    @property
    def can_be_repeated(self) -> bool:
        """Whether all bytes of the client are here, and no answer has come."""
        return not self.answered and len(self.sent) <= OPENING_BYTES


class Relay:
    """A listener on loopback and its connections."""

    def __init__(self, dial: Dial, *, say: Callable[[str], None]) -> None:
        """Use `dial` for each connection; `say` gets one line for each connection that failed."""
        self._dial = dial
        self._say = say
        self._targets: dict[asyncio.Task[None], str] = {}
        self._server: asyncio.Server | None = None

    @property
    def count(self) -> int:
        """How many connections are open."""
        return len(self._targets)

    async def listen(self, port: int) -> int:
        """Listen on this port, or on a free one for 0, and return it; raises OSError when it cannot be used."""
        self._server = await asyncio.start_server(self._accept, LOOPBACK, port, limit=CHUNK_BYTES, backlog=512)
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self, is_gone: Callable[[str], bool]) -> None:
        """End the connections to the targets that are gone, because nothing else would end them."""
        for task, target in self._targets.items():
            if target and is_gone(target):
                self._say(f"{target} is gone: closed a connection to it")
                task.cancel()

    async def close(self) -> None:
        """Stop listening and end all connections."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._targets)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._targets[task] = ""
        task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        """Forget a connection that ended; of an unexpected error only the class is logged."""
        self._targets.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._say(f"closed a connection: {type(error).__name__}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        with contextlib.suppress(OSError):
            # Send small packets at once.
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            try:
                await self._carry(reader, writer)
            except StreamError as error:
                self._say(f"closed a connection: {error.message}")
            async with asyncio.timeout(FLUSH_SECONDS):
                await _end_client(reader, writer)
        except OSError:
            # The client is gone, or no more answer comes; TimeoutError is an OSError.
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until its stream ends; try other targets if the first does not answer."""
        task = asyncio.current_task()
        opening, tried = _Opening(), list[str]()
        until = asyncio.get_running_loop().time() + REPEAT_SECONDS
        while task is not None:
            target, stream = await self._dial(tried)
            self._targets[task] = target
            try:
                await _Exchange(reader, writer, stream, opening).run()
                return
            except StreamError as error:
                if not opening.can_be_repeated or asyncio.get_running_loop().time() > until:
                    raise
                self._say(f"no answer: {error.message}")
                tried.append(target)
            finally:
                self._targets[task] = ""
                await stream.close()


class _Exchange:
    """The bytes of one connection and one stream, in both directions."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: Stream, opening: _Opening
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._stream = stream
        self._opening = opening
        self._limit: float | None = None
        self._receiving: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Carry bytes until the stream has ended.

        Raises:
            StreamError: The stream broke.
            OSError: The client is gone, or has sent everything and gets no more answer (TimeoutError).
        """
        try:
            async with asyncio.TaskGroup() as group:
                upward = group.create_task(self._carry_up())
                await self._carry_down()
                upward.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _carry_up(self) -> None:
        try:
            if self._opening.sent:
                await self._stream.send(bytes(self._opening.sent))
            while chunk := await self._reader.read(CHUNK_BYTES):
                self._opening.keep(chunk)
                await self._stream.send(chunk)
            await self._stream.send_end()
        except StreamError:
            # The other direction raises the error, after it has delivered the bytes that came before.
            return
        if not self._stream.carries_end:
            self._limit = AFTER_END_SECONDS if self._opening.answered or self._opening.sent else 0.0
            if self._receiving is not None:
                self._receiving.reschedule(asyncio.get_running_loop().time() + self._limit)

    async def _carry_down(self) -> None:
        while True:
            async with asyncio.timeout(self._limit) as self._receiving:
                payload = await self._stream.receive()
            self._receiving = None
            if not payload:
                return
            self._opening.close()
            self._writer.write(payload)
            await self._writer.drain()


async def _end_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection so that the client gets every byte: a close with unread input would reset it."""
    writer.transport.set_write_buffer_limits(high=0)
    await writer.drain()
    writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while await reader.read(CHUNK_BYTES):
                pass
    writer.close()
    await writer.wait_closed()
