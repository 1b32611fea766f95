"""Keeps the components running: starts them in order, starts again what died, ends them in order.

It is process 1 of the sandbox, so it also collects every orphan. It reports to a file, which needs no connection.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from kinky import process
from kinky.embedded.components import Component
from kinky.embedded.layout import Layout
from kinky.progress import note

LONGEST_PAUSE_SECONDS = 30.0
SETTLED_SECONDS = 60.0
"""A component that lived this long starts again at once when it dies; otherwise it waits longer each time."""
LOG_LIMIT_BYTES = 32 << 20
LAST_TO_STOP = "etcd"


@dataclass
class Watched:
    """State of one component."""

    component: Component
    pid: int | None = None
    started: float = 0.0
    not_before: float = 0.0
    failures: int = 0
    restarts: int = 0
    last_exit: int | None = None

    def describe(self) -> dict[str, object]:
        """Return the state as it stands in the report."""
        state = "running" if self.pid else ("waiting" if self.last_exit is None else "restarting")
        return {"state": state, "restarts": self.restarts, "lastExit": self.last_exit}


def pause_before(failures: int) -> float:
    """Return the seconds to wait before the next start after so many quick deaths in a row."""
    return 0.0 if failures == 0 else min(LONGEST_PAUSE_SECONDS, 2.0 ** (failures - 1))


class Supervisor:
    """Runs the components of one host until it is told to stop."""

    def __init__(self, place: Layout, components: Sequence[Component]) -> None:
        """Take the components; nothing runs before `run`."""
        self._place = place
        self._watched = {component.name: Watched(component) for component in components}
        self._ready: set[str] = set()
        self._wake = threading.Event()
        self._stopping = False
        self._reported = ""

    def run(self) -> None:
        """Keep everything running until SIGTERM or SIGINT, then end it in order."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        last_trim = time.monotonic()
        while not self._stopping:
            self._collect()
            for watched in self._watched.values():
                self._start_if_due(watched)
            self._report()
            if time.monotonic() - last_trim > 60:
                last_trim = time.monotonic()
                self._trim_logs()
            self._wake.wait(1.0 if len(self._ready) == len(self._watched) else 0.25)
            self._wake.clear()
        self._stop()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._stopping = True
        self._wake.set()

    def _collect(self) -> None:
        """Take the exit status of every process that ended; plan the restart of a component."""
        by_pid = {watched.pid: watched for watched in self._watched.values() if watched.pid}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in by_pid:
                self._on_exit(by_pid[pid], os.waitstatus_to_exitcode(status))

    def _on_exit(self, watched: Watched, code: int) -> None:
        lived = time.monotonic() - watched.started
        watched.failures = 0 if lived > SETTLED_SECONDS else watched.failures + 1
        delay = pause_before(watched.failures)
        watched.pid, watched.last_exit = None, code
        watched.not_before = time.monotonic() + delay
        self._ready.discard(watched.component.name)
        if not self._stopping:
            say(f"{watched.component.name} ended with {code} after {lived:.0f} s; starts again in {delay:.0f} s")

    def _start_if_due(self, watched: Watched) -> None:
        name = watched.component.name
        if watched.pid:
            if name not in self._ready and is_ready(watched.component.ready, self._place):
                self._ready.add(name)
                say(f"{name} ready {time.monotonic() - watched.started:.0f} s after its start")
            return
        if time.monotonic() < watched.not_before or not self._ready.issuperset(watched.component.after):
            return
        watched.restarts += watched.last_exit is not None
        watched.started = time.monotonic()
        watched.pid = process.spawn_detached(watched.component.argv, log=self._place.log(name))

    def _report(self) -> None:
        text = json.dumps({name: watched.describe() for name, watched in self._watched.items()})
        if text != self._reported:
            self._reported = text
            temporary = self._place.observed.with_suffix(".new")
            temporary.write_text(text)
            temporary.replace(self._place.observed)

    def _trim_logs(self) -> None:
        """Keep the newest part of a log that grew too long; programs append, so cutting it short is safe."""
        for path in self._place.logs.glob("*.log"):
            if path.stat().st_size > LOG_LIMIT_BYTES:
                with path.open("rb+") as log:
                    log.seek(-LOG_LIMIT_BYTES // 8, os.SEEK_END)
                    tail = log.read()
                    log.truncate(0)
                with path.open("ab") as log:
                    log.write(tail)

    def _stop(self) -> None:
        """End the components, the database last; what is left ends with process 1."""
        say("stopping")
        self._end([name for name in self._watched if name != LAST_TO_STOP], limit_seconds=3)
        self._end([LAST_TO_STOP], limit_seconds=5)

    def _end(self, names: Sequence[str], *, limit_seconds: float) -> None:
        chosen = [self._watched[name] for name in names if name in self._watched]
        for watched in chosen:
            if watched.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(watched.pid, signal.SIGTERM)
        deadline = time.monotonic() + limit_seconds
        while any(watched.pid for watched in chosen) and time.monotonic() < deadline:
            self._wake.wait(0.1)
            self._wake.clear()
            self._collect()
        left = [watched for watched in chosen if watched.pid]
        for watched in left:
            if watched.pid:
                # An API server with open watches takes its time, and the database then waits for the API server.
                os.kill(watched.pid, signal.SIGKILL)
        killed = ", ".join(watched.component.name for watched in left)
        say(f"stopped {', '.join(names)}" + (f"; had to kill {killed}" if left else ""))


def is_ready(how: str, place: Layout) -> bool:
    """Tell whether a component serves, by what its `ready` says."""
    kind, _, rest = how.partition(":")
    try:
        if kind == "tcp":
            socket.create_connection(("127.0.0.1", int(rest)), timeout=1).close()
        elif kind == "unix":
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(rest)
        elif kind == "https":
            return _answers_200(rest, place.pki / "ca.crt")
    except OSError:
        return False
    return True


def _answers_200(rest: str, ca: Path) -> bool:
    port, slash, path = rest.partition("/")
    context = ssl.create_default_context(cafile=str(ca))
    connection = http.client.HTTPSConnection("127.0.0.1", int(port), timeout=2, context=context)
    try:
        connection.request("GET", slash + path)
        return connection.getresponse().status == 200
    except http.client.HTTPException:
        return False
    finally:
        connection.close()


def say(text: str) -> None:
    """Write a dated line to the supervisor's log, which is this process's standard error."""
    note(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")
