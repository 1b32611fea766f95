"""What is carried through a stream that answers as the test says: repeated openings, ends, silence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kinky.kube.port_forward import StreamError
from kinky.reach import relay


class Script:
    """A stream that answers as it is told."""

    carries_end = False

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.sent = b""
        self.closed = False

    async def receive(self) -> bytes:
        if not self.answers:
            await asyncio.sleep(3600)
        answer = self.answers.pop(0)
        while not self.sent:
            await asyncio.sleep(0.01)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send(self, payload: bytes) -> None:
        self.sent += payload

    async def send_end(self) -> None:
        pass

    async def close(self) -> None:
        self.closed = True


def carry(streams: list[Script], client: Callable[[int], Awaitable[bytes]]) -> tuple[bytes, list[str]]:
    """Carry one connection of a client over these streams, one after the other."""

    async def run() -> tuple[bytes, list[str]]:
        said: list[str] = []
        left = list(streams)

        async def dial(tried: Any) -> tuple[str, relay.Stream]:
            if not left:
                raise StreamError(f"nothing but {', '.join(tried)}")
            stream = left.pop(0)
            return f"pod-{len(streams) - len(left)}", stream

        carrier = relay.Relay(dial, say=said.append)
        port = await carrier.listen(0)
        answer = await client(port)
        for _ in range(100):
            if carrier.count:
                await asyncio.sleep(0.02)
        assert carrier.count == 0
        await carrier.close()
        return answer, said

    return asyncio.run(run())


async def talk(port: int, words: bytes = b"hello", *, end: bool = False) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(words)
        if end:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), 10)
    except OSError:
        return b"reset"
    finally:
        writer.close()


def test_fault_27_the_opening_is_repeated_at_another_pod() -> None:
    streams = [Script(StreamError("refused")), Script(StreamError("refused")), Script(b"answer", b"")]
    assert carry(streams, talk) == (b"answer", ["no answer: refused", "no answer: refused"])
    assert [stream.sent for stream in streams] == [b"hello"] * 3
    assert all(stream.closed for stream in streams)


def test_fault_27_nothing_is_repeated_after_an_answer_or_a_long_opening() -> None:
    streams = [Script(b"ans", StreamError("broke")), Script(b"wer", b"")]
    answer, said = carry(streams, talk)
    assert (answer, said) == (b"ans", ["closed a connection: broke"])
    long = b"x" * (2 * relay.OPENING_BYTES)

    async def talk_long(port: int) -> bytes:
        return await talk(port, long)

    streams = [Script(), Script(b"answer", b"")]

    async def receive() -> bytes:
        while len(streams[0].sent) < len(long):
            await asyncio.sleep(0.01)
        raise StreamError("broke")

    streams[0].receive = receive  # type: ignore[method-assign]
    answer, said = carry(streams, talk_long)
    assert answer in (b"", b"reset")
    assert said == ["closed a connection: broke"]


def test_fault_27_after_the_clients_end_the_rest_is_delivered_and_silence_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "AFTER_END_SECONDS", 0.5)

    async def talk_and_end(port: int) -> bytes:
        return await talk(port, end=True)

    assert carry([Script(b"one ", b"two ", b"three", b"")], talk_and_end) == (b"one two three", [])
    # The pod is not told of the end, so it may never close its side.
    assert carry([Script(b"one")], talk_and_end)[0] == b"one"


def test_fault_27_a_client_that_asked_for_nothing_is_let_go_at_once() -> None:
    async def knock(port: int) -> bytes:
        return await asyncio.wait_for(talk(port, b"", end=True), 3)

    assert carry([Script()], knock) == (b"", [])
