"""Files, disk images and running processes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

from kinky.scan.artefact import Artefact
from kinky.scan.kind import Kind

PIECE_BYTES: Final = 16 << 20
OVERLAP_BYTES: Final = 1 << 20
"""As much as a Secret can hold, so each Secret that a disk holds in one place is whole in one piece."""
DISK_SUFFIXES: Final = {".img", ".iso", ".qcow2", ".raw"}
_WITH_DISKS: Final = {Kind.PATH, Kind.EMBEDDED_HOST}
"""Kinds of artefact among which a file with such a name is taken for a disk."""


def find_files(
    kind: Kind, root: Path, *, base: Path | None = None, skip: Callable[[Path], bool] = lambda _: False
) -> Iterator[Artefact]:
    """Yield a file, or all regular files below a folder; links are not followed.

    Args:
        base: Names are relative to this folder; without it they are whole paths.
        skip: Tells which folders and files are left out; asked just before each is looked at.
    """
    if not _is_folder(root):
        yield from _regular_file(kind, root, base)
        return
    failures: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=failures.append):
        folders[:] = sorted(name for name in folders if not skip(Path(folder, name)))
        for path in (Path(folder, name) for name in sorted(files)):
            if not skip(path):
                yield from _regular_file(kind, path, base)
    for failure in failures:
        yield Artefact(kind, str(failure.filename), partial(_fail, failure))


def find_processes(proc: Path = Path("/proc")) -> Iterator[Artefact]:
    """Yield the command line and the environment of each running process; the name does not repeat any of it."""
    for folder in sorted(proc.glob("[0-9]*")):
        try:
            program = (folder / "comm").read_text(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:
            # A process of another user, on a machine that hides them; the scan reports that it is not read.
            program = "?"
        for part in ("cmdline", "environ"):
            yield Artefact(Kind.PROCESS, f"{folder.name} {program} {part}", partial(_read_whole, folder / part))


def read_pieces(path: Path) -> Iterator[bytes]:
    """Read a file in overlapping pieces, without the holes of a sparse one."""
    with path.open("rb", buffering=0) as handle:
        yield from read_handle(handle)


def read_handle(handle: BinaryIO) -> Iterator[bytes]:
    """Read an open file in the same way, from its start."""
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


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return False


def _regular_file(kind: Kind, path: Path, base: Path | None) -> Iterator[Artefact]:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        yield Artefact(kind, os.fspath(path), partial(_fail, error))
        return
    if stat.S_ISREG(mode):
        is_disk = path.suffix in DISK_SUFFIXES and kind in _WITH_DISKS
        yield Artefact(
            kind=Kind.DISK_IMAGE if is_disk else kind,
            name=os.fspath(path.relative_to(base) if base else path),
            read=partial(read_pieces, path),
            private=not mode & 0o077,
            # A disk that the admin names is worth the time; those that lie about on the host are not.
            unfold=not is_disk or kind is Kind.PATH,
        )


def _read_whole(path: Path) -> tuple[bytes]:
    return (path.read_bytes(),)


def _fail(error: OSError) -> NoReturn:
    raise error
