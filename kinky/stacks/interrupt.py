"""Ctrl-C while Pulumi runs: Pulumi finishes what it has begun, so that its state stays true, and then ends."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from kinky.progress import note


class Interrupts:
    """The signals that came while the block ran."""

    def __init__(self) -> None:
        """Start with none."""
        self.count = 0

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Count the signal, tell what happens now, and pass it on unless the terminal has done so already."""
        self.count += 1
        if self.count == 1:
            note("interrupted: pulumi finishes the steps that run, then up or destroy can go on; again to end at once")
        if number != signal.SIGINT or not _has_terminal():
            for child in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGINT)


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[Interrupts]:
    """Keep SIGINT and SIGTERM from ending this process inside the block; raise KeyboardInterrupt after it instead."""
    interrupts = Interrupts()
    previous = {number: signal.signal(number, interrupts.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupts
    except Exception as error:
        if interrupts.count:
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if interrupts.count:
        raise KeyboardInterrupt


def _has_terminal() -> bool:
    """Tell whether a terminal controls this process: it sends SIGINT to the whole group, so to Pulumi too."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY))
    except OSError:
        return False
    return True


def _children() -> list[int]:
    """Return the ids of this process's children, whichever thread started them."""
    lists = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    return [int(pid) for text in lists for pid in text.split()]
