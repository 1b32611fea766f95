"""Locks that a killed Pulumi left on a stack of the local backend."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from kinky.process import is_alive
from kinky.progress import note


def remove_stale_locks(backend: str, *, project: str, stack: str) -> list[int]:
    """Remove the locks whose process on this machine is gone; return those processes' ids.

    A lock of a living process, or of another machine, stays: Pulumi then refuses and names its owner.
    """
    if not backend.startswith("file://"):
        return []
    folder = Path(backend.removeprefix("file://")) / ".pulumi" / "locks" / "organization" / project / stack
    removed = []
    for lock in sorted(folder.glob("*.json")):
        owner = json.loads(lock.read_text())
        if owner["hostname"] == socket.gethostname() and not is_alive(owner["pid"], expect="pulumi"):
            lock.unlink()
            removed.append(owner["pid"])
            note(f"removed the lock of a pulumi that is gone (process {owner['pid']})")
    return removed
