"""What a killed Pulumi left of a stack in the local backend, and would stop the next one."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

from kinky.process import is_alive
from kinky.progress import note


def remove_leftovers(backend: str, *, project: str, stack: str) -> None:
    """Remove stale locks and half-written files; nothing for a backend that is not a folder."""
    if not backend.startswith("file://"):
        return
    folder = Path(backend.removeprefix("file://")) / ".pulumi"
    locks = folder / "locks" / "organization" / project / stack
    for pid in _remove_stale_locks(locks):
        note(f"removed the lock of a pulumi that is gone (process {pid})")
    if not any(locks.glob("*.json")):  # one that lives may be writing now
        for file in _remove_half_written(folder / "stacks" / project, stack):
            note(f"removed {file.name}, which a pulumi that was killed had half written; the state is whole")


def _remove_stale_locks(folder: Path) -> Iterator[int]:
    # A lock of a living process, or of another machine, stays: Pulumi then refuses and names its owner.
    for lock in sorted(folder.glob("*.json")):
        owner = json.loads(lock.read_text())
        if owner["hostname"] == socket.gethostname() and not is_alive(owner["pid"], expect="pulumi"):
            lock.unlink()
            yield owner["pid"]


def _remove_half_written(folder: Path, stack: str) -> Iterator[Path]:
    # Pulumi's library (gocloud.dev/blob/fileblob) writes a file under another name and renames it, but its content type
    # and checksum in place, beside it. Killed there it leaves an empty file, over which every Pulumi stops ("failed to
    # load checkpoint: EOF"); it does without an absent one.
    torn = (file for file in folder.glob(f"{stack}.json*.attrs") if file.stat().st_size == 0)
    for file in sorted((*torn, *folder.glob(f"{stack}.json*.tmp"))):
        file.unlink()
        yield file
