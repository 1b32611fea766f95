"""The forward as a process of its own: what it carries, what it logs, and what ends it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import pytest

from kinky import names, paths, process
from kinky.embedded import proxy
from kinky.reach import forward
from tests.unit.fake_forward_guest import Guest, Loop
from tests.unit.fake_forward_host import FakeHost, Pod, free_port
from tests.unit.forward.conftest import Place, read_all, until
from tests.unit.forward.ends import WAYS, Watch, end_at_a_port_that_refuses


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
