"""Files, disk images and running processes."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from kinky.scan.artefact import Artefact

PIECE_BYTES: Final = 16 << 20
OVERLAP_BYTES: Final = 1 << 20
"""As much as a Secret can hold, so each Secret that a disk holds in one place is whole in one piece."""
DISK_SUFFIXES: Final = {".img", ".qcow2", ".raw"}
DISK_KIND: Final = "disk image"


def find_files(kind: str, root: Path, *, base: Path | None = None, skip: Collection[Path] = ()) -> Iterator[Artefact]:
    """Yield a file, or all regular files below a folder; links are not followed.

    Args:
        base: Names are relative to this folder; without it they are whole paths.
        skip: Folders that are left out.
    """
    if not root.is_dir():
        yield from _regular_file(kind, root, base)
        return
    failures: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=failures.append):
        folders[:] = sorted(name for name in folders if Path(folder, name) not in skip)
        for name in sorted(files):
            yield from _regular_file(kind, Path(folder, name), base)
    for failure in failures:
        yield Artefact(kind, str(failure.filename), partial(_fail, failure))


def find_processes(proc: Path = Path("/proc")) -> Iterator[Artefact]:
    """Yield the command line and the environment of each running process; the name does not repeat any of it."""
    for folder in sorted(proc.glob("[0-9]*")):
        try:
            program = (folder / "comm").read_text(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for part in ("cmdline", "environ"):
            yield Artefact("process", f"{folder.name} {program} {part}", partial(_read_whole, folder / part))


def read_pieces(path: Path) -> Iterator[bytes]:
    """Read a file in overlapping pieces, without the holes of a sparse one."""
    with path.open("rb", buffering=0) as handle:
        for start, end in _find_extents(handle.fileno()):
            while piece := os.pread(handle.fileno(), min(PIECE_BYTES, end - start), start):
                yield piece
                start += len(piece)
                if start >= end:
                    break
                start -= min(OVERLAP_BYTES, len(piece) - 1)


def _find_extents(handle: int) -> Iterator[tuple[int, int]]:
    """Yield where the data of a file lies, from and to."""
    size, end = os.fstat(handle).st_size, 0
    while end < size:
        try:
            start = os.lseek(handle, end, os.SEEK_DATA)
        except OSError:  # nothing but a hole up to the end
            return
        end = os.lseek(handle, start, os.SEEK_HOLE)
        yield start, end


def _regular_file(kind: str, path: Path, base: Path | None) -> Iterator[Artefact]:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode):
        yield Artefact(
            kind=DISK_KIND if path.suffix in DISK_SUFFIXES else kind,
            name=os.fspath(path.relative_to(base) if base else path),
            read=partial(read_pieces, path),
            private=not mode & 0o077,
        )


def _read_whole(path: Path) -> tuple[bytes]:
    return (path.read_bytes(),)


def _fail(error: OSError) -> NoReturn:
    raise error
