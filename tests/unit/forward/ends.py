"""The ways in which a connection through the forward ends, and a watch over the ones that go on."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field

from tests.unit.forward.conftest import Place, read_all, reset, until


@dataclass
class Watch:
    """A connection that stays, and everything that it received."""

    client: socket.socket
    received: int = 0
    ended: bool = False
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while part := self.client.recv(4096):
                self.received += part.count(b"\n")
        self.ended = True

    def still_delivers(self) -> bool:
        before = self.received
        until(lambda: self.received > before or self.ended, "a line more")
        return not self.ended

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.client.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.client.close()


def end_cleanly(place: Place) -> None:
    assert place.ask("name") == b"a\n"


def end_by_reset(place: Place) -> None:
    client = place.connect("watch")
    assert client.recv(100)
    reset(client)


def end_before_a_word(place: Place) -> None:
    place.connect().close()


def end_by_reset_before_a_word(place: Place) -> None:
    reset(place.connect())


def end_by_an_error_of_the_guest(place: Place) -> None:
    assert place.ask("part") == b"part\n"


def end_at_once_by_the_guest(place: Place) -> None:
    assert place.ask("close") == b""


def end_half(place: Place) -> None:
    with place.connect("take 5") as client:
        client.sendall(b"12345")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"taken\n" * 100_000


def end_without_reading(place: Place) -> None:
    client = place.connect("flood 3", buffer=4096)
    time.sleep(0.1)
    client.close()


def end_while_writing(place: Place) -> None:
    client = place.connect("hold")
    client.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while True:
            client.sendall(b"x" * 65536)
    reset(client)


def end_at_a_port_that_refuses(place: Place) -> None:
    before = len(place.host.dialed)
    place.host.pods["a"].port, kept = 0, place.host.pods["a"].port
    client = place.connect("name")
    until(lambda: len(place.host.dialed) > before, "a dial")
    place.host.pods["a"].port = kept
    client.close()


WAYS = (
    end_cleanly,
    end_by_reset,
    end_before_a_word,
    end_by_reset_before_a_word,
    end_by_an_error_of_the_guest,
    end_at_once_by_the_guest,
    end_half,
    end_without_reading,
    end_while_writing,
    end_at_a_port_that_refuses,
)
