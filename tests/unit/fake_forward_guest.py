"""A guest behind the host of the forward's tests, and a loop in a thread for both."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from tests.unit.fake_forward_host import ENDS, reset


class Guest:
    """A guest's server: the first line of a connection says what it does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.asked: list[str] = []
        self.taken = 0
        """Bytes that connections with `sink` have sent."""

    async def start(self, address: str = "127.0.0.1", port: int = 0) -> None:
        server = await asyncio.start_server(self._serve, address, port)
        self.port = server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*ENDS):
            order, _, argument = (await reader.readline()).decode().strip().partition(" ")
            self.asked.append(order)
            if order in ("echo", "sink"):
                await self._read_on(reader, writer, echo=order == "echo")
            elif order == "take":
                # Answers after it has read so many bytes, without waiting for the client's end.
                await reader.readexactly(int(argument))
                await asyncio.sleep(0.5)
                writer.write(b"taken\n" * 100_000)
            elif order == "hold":
                # Reads nothing more.
                await asyncio.sleep(3600)
            else:
                await self._write(order, argument, writer)
            writer.close()

    async def _read_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, echo: bool) -> None:
        while chunk := await reader.read(65536):
            self.taken += len(chunk)
            if echo:
                writer.write(chunk)
                await writer.drain()

    async def _write(self, order: str, argument: str, writer: asyncio.StreamWriter) -> None:
        if order == "name":
            writer.write(f"{self.name}\n".encode())
        elif order == "flood":
            for _ in range(int(argument)):
                writer.write(b"x" * 1_000_000)
                await writer.drain()
        elif order == "part":
            writer.write(b"part\n")
            await writer.drain()
            await asyncio.sleep(0.1)
            reset(writer)
        elif order == "reset":
            reset(writer)
        while order == "watch":
            writer.write(b"tick\n")
            await writer.drain()
            await asyncio.sleep(0.05)


class Loop:
    """An event loop in a thread, for the servers of a test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda _loop, _context: None)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def call(self, work: Callable[[], Any]) -> None:
        self._loop.call_soon_threadsafe(work)

    def close(self) -> None:
        async def end() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
