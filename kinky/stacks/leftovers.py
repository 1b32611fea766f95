"""Files of a killed Pulumi in a file backend, which would stop the next one."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from glob import escape
from pathlib import Path

from kinky.config.backend import DAMAGED, describe_damage, parse_backend
from kinky.process import is_alive
from kinky.progress import note


def remove_leftovers(backend: str, *, project: str, stack: str) -> None:
    """Remove stale locks and half-written files; nothing for a backend that is not a folder.

    A file that cannot be read or removed is reported and stays: Pulumi then decides about it.
    """
    found = parse_backend(backend)
    locks = found.list_lock_folders(project, stack)
    for folder in locks:
        for pid in _remove_stale_locks(folder):
            note(f"removed the lock of a pulumi that is gone (process {pid})")
    if any(lock for folder in locks for lock in folder.glob("*.json")):
        # The holder of the lock may be writing now.
        return
    for folder in found.list_state_folders(project):
        for file in _remove_half_written(folder, stack):
            note(f"removed {file.name}, which a pulumi that was killed had half written; the state is whole")


def remove_copies(backend: str, *, project: str, stack: str) -> None:
    """Remove the copies of a removed stack's state; nothing for a backend that is not a folder."""
    for path in parse_backend(backend).list_copies(project, stack):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _remove_stale_locks(folder: Path) -> Iterator[int]:
    # A lock of a living process, or of another machine, stays: Pulumi then refuses and names its owner.
    for lock in sorted(folder.glob("*.json")):
        try:
            host, pid = _read_owner(lock)
            if host == socket.gethostname() and not is_alive(pid, expect="pulumi"):
                lock.unlink()
                yield pid
        except FileNotFoundError:
            continue
        except DAMAGED as error:
            note(
                f"a lock of the stack cannot be read or removed: {lock}: {describe_damage(error)}; "
                "when no other pulumi works on the stack, remove it, or call pulumi cancel"
            )


def _read_owner(lock: Path) -> tuple[str, int]:
    """Return the machine and the process that a lock names; raises one of DAMAGED."""
    owner = json.loads(lock.read_text())
    host, pid = owner["hostname"], owner["pid"]
    # In Python true is a number; 0 and negative numbers name no process.
    if not isinstance(host, str) or type(pid) is not int or pid < 1:
        raise ValueError("it names no process")
    return host, pid


def _remove_half_written(folder: Path, stack: str) -> Iterator[Path]:
    # Pulumi's library (gocloud.dev/blob/fileblob) writes a file under another name and renames it, but its content type
    # and checksum in place, beside it. Killed there it leaves an empty file, over which every Pulumi stops ("failed to
    # load checkpoint: EOF"); it does without an absent one.
    for file in sorted((*folder.glob(f"{escape(stack)}.json*.attrs"), *folder.glob(f"{escape(stack)}.json*.tmp"))):
        try:
            if file.suffix == ".tmp" or file.stat().st_size == 0:
                file.unlink()
                yield file
        except FileNotFoundError:
            continue
        except OSError as error:
            note(f"a file that was half written cannot be removed: {file}: {error.strerror}")
