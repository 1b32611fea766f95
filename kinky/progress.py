"""Telling the user what is going on; the only home of rich.

Lines go to standard error, because standard output is data. On a terminal the current phase is a live line; elsewhere,
and under a test runner, each line is plain text. `KINKY_PROGRESS=quiet` prints nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # rich takes 0.1 s, and most processes of KinKy never print a line.
    from rich.console import Console
    from rich.status import Status


class Phase:
    """A phase that is running; its notes are printed when they differ from the one before."""

    def __init__(self, title: str, *, started: float, show: Callable[[str], None]) -> None:
        """Remember when the phase started (monotonic seconds) and how to show a line."""
        self.title = title
        self._started = started
        self._show = show
        self._last = ""

    @property
    def elapsed_seconds(self) -> float:
        """Return the seconds since the phase started."""
        return time.monotonic() - self._started

    def note(self, text: str) -> None:
        """Print what is seen now, with the elapsed time, if it changed."""
        if text != self._last:
            self._last = text
            self._show(f"  {_seconds(self.elapsed_seconds):>6}  {text}")


@contextlib.contextmanager
def phase(title: str, *, limit_seconds: float | None = None) -> Iterator[Phase]:
    """Announce a phase and its limit, yield it for notes, and print a tick or a cross with the seconds it took."""
    limit = "" if limit_seconds is None else f" (at most {_seconds(limit_seconds)})"
    started = time.monotonic()
    running = Phase(title, started=started, show=note)
    try:
        with _TERMINAL.announce(title, limit, started):
            yield running
    except BaseException:
        _TERMINAL.show(f"✗ {title} ({_seconds(running.elapsed_seconds)})", style="red")
        raise
    _TERMINAL.show(f"✓ {title} ({_seconds(running.elapsed_seconds)})", style="green")


def note(text: str) -> None:
    """Print one line to standard error."""
    _TERMINAL.show(text)


def is_quiet() -> bool:
    """Tell whether the user asked for no progress lines."""
    return os.environ.get("KINKY_PROGRESS") == "quiet"


class _Terminal:
    """The terminal: the one thing that all lines share, whichever thread they come from.

    It has room for one live line; phases that start meanwhile are plain lines above it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: Status | None = None

    def show(self, text: str, *, style: str | None = None) -> None:
        """Print a line, above the live line if there is one."""
        live = self._live
        if not is_quiet():
            (live.console if live else _console()).print(text, style=style, markup=False)

    @contextlib.contextmanager
    def announce(self, title: str, limit: str, started: float) -> Iterator[None]:
        """Show the running phase: a line with a running clock on a terminal, one plain line elsewhere."""
        from rich.markup import escape

        console = _console()
        live = console.status(escape(f"{title}{limit}"))
        if is_quiet() or not console.is_terminal or not self._take(live):
            self.show(f"• {title}{limit}")
            yield
            return
        try:
            with live, ticking(lambda: live.update(escape(f"{title} {_elapsed(started)}{limit}"))):
                yield
        finally:
            self._live = None

    def _take(self, live: Status) -> bool:
        """Make this the live line, unless there is one already."""
        with self._lock:
            if self._live is not None:
                return False
            self._live = live
            return True


_TERMINAL = _Terminal()


def _console() -> Console:
    from rich.console import Console

    # Made at each use: standard error may be replaced (tests, Pulumi's language host) after this module was imported.
    return Console(file=sys.stderr, highlight=False, emoji=False, soft_wrap=True)


@contextlib.contextmanager
def ticking(tick: Callable[[], None], *, every_seconds: float = 1.0) -> Iterator[None]:
    """Call `tick` again and again from a thread while the block runs."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.wait(every_seconds):
            tick()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _elapsed(started: float) -> str:
    return _seconds(time.monotonic() - started)


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s"
