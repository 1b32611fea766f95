"""Connections through the forward that end in every way, and touch no other."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kinky.reach import forward
from tests.unit.forward.conftest import Place, reset, until
from tests.unit.forward.ends import WAYS, Watch, end_at_a_port_that_refuses


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
