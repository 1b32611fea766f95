"""One run of the tests on this machine: its name, its clusters, and what earlier runs that were killed have left.

A run is a folder with a file for each cluster. It is locked as long as the run lives; the kernel ends the lock with the
process, however that ends.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from kinky import paths
from kinky.file_lock import file_lock

ALIVE: Final = "alive"
RUN_BYTES: Final = 4
"""Random bytes of a run's name. With a thousand runs at once, two get one name in one of 8,000 cases. The host then
refuses the second, because it holds a cluster of that name."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One cluster of a run, its own or a borrowed one."""

    stack: str
    namespace: str
    """The run's namespace in the cluster."""
    is_ready: bool = False
    """Whether it was ready once."""
    is_reused: bool = False
    """Whether the cluster has a name of its own, by which other runs use it too."""
    is_kept: bool = False
    """Whether the cluster stays after the run, until its lease ends."""


class Run:
    """The folder of one run; several processes of pytest-xdist share it."""

    def __init__(self, run: str) -> None:
        """Use the run of this name, which may be shared."""
        self.name = run
        self.folder = runs_dir() / run
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._alive: IO[str] | None = None

    @classmethod
    def begin(cls) -> Run:
        """Begin a run of a new name, and mark it as alive."""
        name = secrets.token_hex(RUN_BYTES)
        # Locked before it can be seen: another run that begins now would take it for a dead one.
        hidden = runs_dir() / f".{name}"
        hidden.mkdir(mode=0o700)
        alive = (hidden / ALIVE).open("a")
        fcntl.flock(alive, fcntl.LOCK_EX)
        hidden.rename(runs_dir() / name)
        made = cls(name)
        made._alive = alive
        return made

    def take_number(self) -> int:
        """Return a number that no other cluster of the run has."""
        with self.locked():
            file = self.folder / "next"
            number = int(file.read_text()) if file.exists() else 0
            file.write_text(str(number + 1))
        return number

    def locked(self, name: str = "numbers") -> AbstractContextManager[None]:
        """Hold a lock of the run, so that only one of its processes does a thing."""
        return file_lock(self.folder / f"{name}.lock")

    def write(self, entry: Entry) -> None:
        """Write down a cluster, before it is made."""
        (self.folder / f"{entry.stack}.json").write_text(json.dumps(asdict(entry)))

    def read(self, stack: str) -> Entry | None:
        """Return what was written about a cluster; None when nothing was."""
        try:
            return Entry(**json.loads((self.folder / f"{stack}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def entries(self) -> list[Entry]:
        """Return the clusters of the run, in the order of their names."""
        found = (self.read(file.stem) for file in sorted(self.folder.glob("*.json")))
        return [entry for entry in found if entry is not None]

    def drop(self, stack: str) -> None:
        """Forget one cluster, which is gone."""
        (self.folder / f"{stack}.json").unlink(missing_ok=True)

    def end(self) -> None:
        """End the run: its folder goes, unless it still holds clusters that stay."""
        if not self.entries():
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._alive is not None:
            self._alive.close()


def list_dead() -> Iterator[Run]:
    """Yield the runs that have ended and left clusters; each is locked meanwhile, so that nobody else clears it up."""
    for folder in sorted(runs_dir().glob("[!.]*")):
        with suppress(OSError), (folder / ALIVE).open("a") as alive:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Run(folder.name)


def runs_dir() -> Path:
    """Return the folder of all runs of this machine's user."""
    folder = paths.state_dir() / "runs"
    paths.make_folder(folder, mode=paths.PRIVATE)
    return folder
