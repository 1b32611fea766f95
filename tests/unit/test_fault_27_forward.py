"""The forward as a process of its own, a host on loopback, and connections that end in every way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kinky import names, paths, process
from kinky.bootstrap import forward
from kinky.embedded import proxy
from kinky.kube.access import HostAccess
from kinky.retry import Pending, wait_until
from tests.unit.fake_forward_host import FakeHost, Guest, Loop, Pod, free_port

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


def test_fault_27_fifty_ends_of_every_kind_touch_no_other_connection(place: Place) -> None:
    watches = [Watch(place.connect("watch")) for _ in range(2)]
    echo = place.connect("echo")
    for _ in range(5):
        for way in WAYS:
            way(place)
            echo.sendall(b"are you there?")
            assert echo.recv(100) == b"are you there?"
            assert not any(watch.ended for watch in watches), way.__name__
    assert all(watch.still_delivers() for watch in watches)
    for watch in watches:
        watch.close()
    echo.close()
    assert place.pid == forward.ensure_forward(place.access, "dev", local_port=place.port)


def test_fault_27_fifty_ends_at_the_same_time_touch_no_other_connection(place: Place) -> None:
    watches = [Watch(place.connect("watch")) for _ in range(3)]
    ways = [way for way in WAYS if way is not end_at_a_port_that_refuses] * 6
    failures: list[str] = []

    def end(way: Callable[[Place], None]) -> None:
        try:
            way(place)
        except Exception as error:
            failures.append(f"{way.__name__}: {error!r}")

    threads = [threading.Thread(target=end, args=(way,)) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(watch.still_delivers() for watch in watches)
    for watch in watches:
        watch.close()


def test_fault_27_hundreds_of_resets_leave_nothing_open(place: Place) -> None:
    assert place.ask("name") == b"a\n"
    files, threads = place.count_files(), place.read_status("Threads")
    for number in range(300):
        client = place.connect("watch" if number % 2 else "echo")
        if number % 3 == 0:
            client.recv(4) if number % 2 else None
        reset(client)
    until(lambda: place.count_files() <= files, f"{files} open files again", 30)
    until(lambda: not place.host.open_streams, "no stream at the host", 30)
    assert place.read_status("Threads") <= threads + 1
    assert place.ask("name") == b"a\n"


def test_fault_27_connections_that_never_read_hold_no_memory(place: Place) -> None:
    assert place.ask("name") == b"a\n"
    base = place.read_status("VmRSS")
    clients = [place.connect("flood 200", buffer=4096) for _ in range(5)]
    sender = place.connect("hold")
    sender.settimeout(1)
    with contextlib.suppress(TimeoutError):
        for _ in range(200):
            sender.sendall(b"x" * 1_000_000)
    watch = Watch(place.connect("watch"))
    assert watch.still_delivers()
    assert place.read_status("VmRSS") - base < 40_000
    for client in (*clients, sender):
        client.close()
    watch.close()


def test_fault_27_two_hundred_megabytes_pass_in_both_directions(place: Place) -> None:
    assert place.ask("name") == b"a\n"
    base = place.read_status("VmRSS")
    with place.connect("flood 200") as client:
        size = 0
        while part := client.recv(1_000_000):
            size += len(part)
    assert size == 200_000_000
    with place.connect("sink") as client:
        for _ in range(50):
            client.sendall(b"y" * 1_000_000)
        until(lambda: place.guests["a"].taken == 50_000_000, "all bytes taken", 60)
    assert place.read_status("VmRSS") - base < 40_000


def test_fault_27_many_small_messages_arrive_in_order(place: Place) -> None:
    sent = b"".join(f"message {number}\n".encode() for number in range(3000))
    with place.connect("echo") as client:
        reader = client.makefile("rb")
        for line in sent.splitlines(keepends=True):
            client.sendall(line)
        assert reader.read(len(sent)) == sent
        reader.close()


def test_fault_27_the_log_holds_no_header_and_no_traceback(place: Place) -> None:
    for way in WAYS:
        way(place)
    place.host.pods["a"].refuse = 403
    assert place.ask("name") == b""
    assert place.host.headers[-1]["authorization"] == "Bearer very-secret-token"
    assert "the host refused the port-forward: status 403" in place.log
    assert "very-secret-token" not in place.log
    assert "Traceback" not in place.log
    assert "uthorization" not in place.log


def test_fault_27_a_host_that_breaks_all_streams_is_used_again_at_once(place: Place) -> None:
    watch = Watch(place.connect("watch"))
    assert watch.still_delivers()
    place.loop.call(place.host.drop)
    until(lambda: watch.ended, "the end of the watch")
    assert place.ask("name") == b"a\n"
    watch.close()


def test_fault_27_another_control_plane_answers_when_one_refuses(place: Place) -> None:
    watch = Watch(place.connect("watch"))
    place.host.pods["b"] = Pod(port=place.guests["b"].port)
    until(lambda: place.ask("name") == b"a\n", "an answer of the first")
    place.host.pods["a"].port = 0
    until(lambda: place.ask("name") == b"b\n", "an answer of the second")
    place.host.pods["a"].port = place.guests["a"].port
    # It stays there while it is ready.
    assert place.ask("name") == b"b\n"
    assert watch.still_delivers()
    watch.close()


def test_fault_27_connections_to_a_pod_that_ended_are_closed_and_others_stay(place: Place) -> None:
    old = Watch(place.connect("watch"))
    assert old.still_delivers()
    place.host.pods["a"].deleting = True
    place.host.pods["b"] = Pod(port=place.guests["b"].port, ready=False)
    until(lambda: place.ask("name") == b"b\n", "the new pod")
    new = Watch(place.connect("watch"))
    assert old.still_delivers(), "a pod that is about to end still serves"
    place.host.pods["a"].phase = "Succeeded"
    until(lambda: old.ended, "the end of the old connection")
    assert new.still_delivers()
    for watch in (old, new):
        watch.close()


def test_fault_27_a_connection_without_a_pod_waits_some_seconds_and_is_closed(place: Place) -> None:
    kept = place.host.pods.pop("a")
    until(lambda: place.ask("name") == b"", "no answer")
    started = time.monotonic()
    with place.connect("name") as client:
        assert read_all(client) == b""
    assert 2 < time.monotonic() - started < 15
    with place.connect("name") as client:
        time.sleep(1)
        place.host.pods["a"] = kept
        assert read_all(client) == b"a\n", "a pod that comes in time is used"


def test_fault_27_sigterm_ends_it_with_connections_open(place: Place) -> None:
    watch = Watch(place.connect("watch"))
    assert watch.still_delivers()
    started = time.monotonic()
    process.terminate(place.pid, expect=forward.SPEC_FILE)
    assert time.monotonic() - started < 8
    assert not forward.is_listening(place.port)
    until(lambda: watch.ended, "the end of the watch")
    watch.close()
    assert "ended: stopped by a signal" in place.log


def test_fault_27_sigterm_ends_it_while_the_host_is_silent(place: Place) -> None:
    place.host.silent = True
    with place.connect("name"):
        time.sleep(2)
        process.terminate(place.pid, expect=forward.SPEC_FILE, grace_seconds=8)
    assert "ended: stopped by a signal" in place.log


def test_fault_27_the_embedded_host_is_passed_by_plain_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path))
    loop, host, guest = Loop(), FakeHost(paths.host_dir()), Guest("a")
    loop.run(host.start())
    loop.run(guest.start("127.0.0.77", names.ENDPOINT_PORT))
    host.pods["a"] = Pod(port=guest.port, address="127.0.0.77")
    access = host.write_kubeconfig()
    assert access.kubeconfig == str(paths.host_kubeconfig())
    door = loop.run(asyncio.start_unix_server(proxy.open_door, paths.host_door()))
    port = free_port()
    pid = forward.ensure_forward(access, "dev", local_port=port, wait_seconds=30)
    place = Place(loop, host, {"a": guest}, access, port, pid)
    try:
        watch = Watch(place.connect("watch"))
        for way in WAYS:
            if way is not end_at_a_port_that_refuses:
                way(place)
        with place.connect("sink") as client:
            # A guest that does not answer before the client's end.
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""
        assert host.dialed == []
        assert watch.still_delivers()
        watch.close()
        # Without the door, as on a host that was started by an older checkout, the API carries it.
        loop.call(door.close)
        paths.host_door().unlink()
        assert place.ask("name") == b"a\n"
        assert host.dialed == ["a"]
    finally:
        forward.stop_all_forwards()
        loop.close()
