"""Telling the user what is going on; the only home of rich.

Lines go to standard error, because standard output is data. On a terminal the phases that run are a live table;
elsewhere, and under a test runner, each line is plain text. `KINKY_PROGRESS=quiet` prints nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    # rich takes 0.1 s, and most processes of KinKy never print a line.
    from rich.console import Console, Group
    from rich.live import Live

DONE: Final = "✓"
FAILED: Final = "✗"
STYLES: Final = {DONE: "green", FAILED: "red"}
_BEGUN: Final = re.compile(r"• (?P<title>.*?)(?P<limit> \(at most \d+ s\))?")
_NOTED: Final = re.compile(r" +\d+ s  (?P<text>.*)")
_ENDED: Final = re.compile(rf"[{DONE}{FAILED}] (?P<title>.*) \(\d+ s\)")


class Phase:
    """A phase that is running; its notes are shown when they differ from the one before."""

    def __init__(self, title: str, limit: str, *, source: str = "") -> None:
        """Start its clock now.

        Args:
            source: The resource that reports the phase; empty for this process.
        """
        self.title = title
        self.limit = limit
        self.source = source
        self.seen = ""
        """Its last note."""
        self._started = time.monotonic()

    @property
    def elapsed_seconds(self) -> float:
        """Return the seconds since the phase started."""
        return time.monotonic() - self._started

    def note(self, text: str) -> None:
        """Tell what is seen now, with the elapsed time, if it changed."""
        if text != self.seen:
            self.seen = text
            if not _TERMINAL.watch(self, text):
                note(f"  {_seconds(self.elapsed_seconds):>6}  {text}")


@contextlib.contextmanager
def phase(title: str, *, limit_seconds: float | None = None) -> Iterator[Phase]:
    """Announce a phase and its limit, yield it for notes, and print a tick or a cross with the seconds it took."""
    running = Phase(title, "" if limit_seconds is None else f" (at most {_seconds(limit_seconds)})")
    if not _TERMINAL.begin(running):
        note(f"• {title}{running.limit}")
    ending = FAILED
    try:
        yield running
        ending = DONE
    finally:
        _TERMINAL.end(running)
        _TERMINAL.show(f"{ending} {title} ({_seconds(running.elapsed_seconds)})", style=STYLES[ending])


def note(text: str) -> None:
    """Print one line to standard error."""
    _TERMINAL.show(text)


@contextlib.contextmanager
def relaying(subjects: Collection[str]) -> Iterator[Callable[[str, str], None]]:
    """Yield a function that shows the lines of other processes of KinKy as if they were of this one.

    It takes a line and who printed it. On a terminal the phases of the lines stand in the table.

    Args:
        subjects: Names, such as those of nodes, that get a row each while notes mention them.
    """
    phases: list[Phase] = []

    def relay(line: str, source: str) -> None:
        own = [running for running in phases if running.source == source]
        if begun := _BEGUN.fullmatch(line):
            running = Phase(begun["title"], begun["limit"] or "", source=source)
            if _TERMINAL.begin(running):
                phases.append(running)
                return
        elif ended := _ENDED.fullmatch(line):
            for running in [each for each in own if each.title == ended["title"]]:
                phases.remove(running)
                _TERMINAL.end(running)
        elif own and (noted := _NOTED.fullmatch(line)):
            own[-1].note(noted["text"])
            return
        _TERMINAL.show(line, style=STYLES.get(line[:1]))

    _TERMINAL.subjects = tuple(subjects)
    try:
        yield relay
    finally:
        # A process that was killed has ended none of its phases.
        for running in phases:
            _TERMINAL.end(running)
        _TERMINAL.subjects = ()


def find_states(text: str, subjects: Collection[str]) -> dict[str, str]:
    """Find what a note says of each subject; `VMs: a Starting, b absent` says two things."""
    head, _, rest = text.partition(": ")
    if head.startswith(tuple(subjects)):
        head, rest = "", text
    states = {}
    for part in re.split("[,;] ", rest):
        subject, _, state = part.partition(" ")
        if subject.rstrip(":") in subjects:
            states[subject.rstrip(":")] = state or head
    return states


def is_quiet() -> bool:
    """Tell whether the user asked for no progress lines."""
    return os.environ.get("KINKY_PROGRESS") == "quiet"


class _Terminal:
    """The terminal: the one thing that all lines share, whichever thread they come from."""

    def __init__(self) -> None:
        # A handler of a signal may print while its own thread does.
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._running: dict[Phase, Mapping[str, str]] = {}
        self.subjects: tuple[str, ...] = ()

    def show(self, text: str, *, style: str | None = None) -> None:
        """Print a line, above the table if there is one."""
        live = self._live
        if not is_quiet():
            (live.console if live else _console()).print(text, style=style, markup=False)

    def begin(self, running: Phase) -> bool:
        """Put a phase into the table; False without a terminal."""
        if is_quiet() or not (console := _console()).is_terminal:
            return False
        from rich.live import Live

        with self._lock:
            self._running[running] = {}
            if self._live is None:
                # Standard output is data, which must stay where it goes.
                self._live = Live(
                    console=console, get_renderable=self._build_table, transient=True, redirect_stdout=False
                )
                self._live.start()
        return True

    def watch(self, running: Phase, text: str) -> bool:
        """Show a phase's note in the table; False if the phase is not in it."""
        with self._lock:
            if running not in self._running:
                return False
            # A subject that is not mentioned any more has what the others wait for.
            self._running[running] = find_states(text, self.subjects) or self._running[running]
        return True

    def end(self, running: Phase) -> None:
        """Take a phase out of the table, if it is there."""
        with self._lock:
            self._running.pop(running, None)
            if self._live is not None and self._running:
                # Or the line that says how the phase has ended would stand above the phase.
                self._live.refresh()
            elif self._live is not None:
                self._live.stop()
                self._live = None

    def _build_table(self) -> Group:
        """Build the table, from a thread of rich's: it takes no lock, because `end` waits for that thread."""
        from rich.console import Group
        from rich.text import Text

        running = list(self._running.items())
        states = {subject: state for _, found in running for subject, state in found.items()}
        width = max((len(each.title) for each, _ in running), default=0)
        lines = []
        for each, _ in running:
            lines.append(Text(f"• {each.title:<{width}}  {_seconds(each.elapsed_seconds)}{each.limit}"))
            lines += [Text(f"    {each.seen}", style="dim")] if each.seen else []
        width = max(map(len, states), default=0)
        lines += [
            Text(f"  {subject:<{width}}  {states[subject]}", style="cyan")
            for subject in self.subjects
            if subject in states
        ]
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines)


_TERMINAL = _Terminal()


def _console() -> Console:
    from rich.console import Console

    # Made at each use: standard error may be replaced (tests, Pulumi's language host) after this module was imported.
    return Console(file=sys.stderr, highlight=False, emoji=False, soft_wrap=True)


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s"
