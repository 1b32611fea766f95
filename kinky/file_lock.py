"""A lock on a file, so that only one of several processes makes a thing, and the others find it."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from kinky import paths


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file while the block runs; wait for another holder, but not for a dead one.

    Files that the block writes have the modes of the lock's place (`paths.modes_of`).

    Raises:
        HostError: The file cannot be made or locked.
    """
    with paths.modes_of(path), contextlib.ExitStack() as held:
        try:
            paths.make_folder(path.parent, mode=paths.folder_mode(path))
            handle = held.enter_context(path.open("a"))
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise paths.explain(error, path) from None
        yield
