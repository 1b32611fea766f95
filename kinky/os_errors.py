"""Errors of the operating system for a user: one sentence with the path and the reason, and one hint."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from pathlib import Path
from typing import Final

from kinky.errors import HostError

_NO_ACCESS: Final = (errno.EACCES, errno.EPERM)
_NO_LOCKS: Final = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_NO_FOLDER: Final = (errno.ENOTDIR, errno.EEXIST)
_TOO_MANY: Final = (errno.EMFILE, errno.ENFILE)
_OTHERS: Final = (errno.EROFS, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ESTALE, errno.EIO, errno.ENOTEMPTY)
_NAME_A_FILE: Final = "give the path of a file, not its content"
OF_THE_MACHINE: Final = frozenset({*_NO_ACCESS, *_NO_LOCKS, *FULL, *_NO_FOLDER, *_TOO_MANY, *_OTHERS})
"""Errors that a user can fix; any other unexpected one is a fault of KinKy."""


def explain(
    error: OSError, *, path: Path | None = None, variable: str | None = None, cache: Path | None = None
) -> HostError:
    """Return the error for a user: the path, the reason, the owner and mode of the blocking part, and a hint.

    The text of the exception is left out, because a library may have put anything into it.

    Args:
        path: The file or folder, if the exception does not name it.
        variable: The variable that sets another directory for it.
        cache: The cache, if the path is in it: all users may read there.
    """
    number = error.errno or 0
    named = path if path is not None else error.filename
    if number == errno.ENAMETOOLONG:
        # No real path is so long: it is the content of a file, and may be a key.
        return HostError(f"cannot use a path of {len(str(named))} characters: {os.strerror(number)}", hint=_NAME_A_FILE)
    # Some callers open a file by its descriptor, a number that helps no user.
    place = Path(os.fsdecode(named)) if isinstance(named, str | bytes | os.PathLike) else None
    reason = os.strerror(number) if number else "the operating system refuses it"
    if number in _NO_LOCKS:
        reason = "its file system has no locks, as with some NFS"
    what = f"cannot use {place}" if place else "cannot go on"
    blame = _blame(place, number) if place else ""
    return HostError(f"{what}: {reason}{blame}", hint=_hint(number, place, variable, cache))


def name_reason(error: Exception) -> str:
    """Return the system's reason for an error, otherwise its class: a library's text may quote anything."""
    return error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__


def _hint(number: int, place: Path | None, variable: str | None, cache: Path | None) -> str:
    if number in _TOO_MANY:
        return "raise the limit, as with: ulimit -n 4096"
    other = f"set {variable} to another directory" if variable else "choose another directory"
    if number in FULL:
        return f"free some space, or {other}"
    if number in _NO_LOCKS:
        return f"{other}, on a local file system"
    blocker = _blocker(place) if number in _NO_ACCESS else None
    # Never for the folders above the cache: one may be somebody's home.
    if blocker and cache and blocker.is_relative_to(cache):
        return f"let its owner run: chmod -R a+rX {blocker}; or {other}"
    if number in _NO_ACCESS:
        return f"{other} that you can write to, or change the permissions"
    return other


def _blame(place: Path, number: int) -> str:
    """Describe the part of the path that blocks it, with owner and mode; empty if that is not the reason."""
    if number in _NO_FOLDER:
        parts = [part for part in (place, *place.parents) if _is_other_than_folder(part)]
        return f"; {parts[-1]} is not a directory" if parts else ""
    part = _blocker(place) if number in _NO_ACCESS else None
    if part is None:
        return ""
    found = part.stat()
    mode = stat.S_IMODE(found.st_mode)
    return f"; {part} belongs to {_name_of(found.st_uid)}, mode {mode:04o}, and you are {_name_of(os.geteuid())}"


def _blocker(place: Path | None) -> Path | None:
    """Return the first part of the path, from the root, that we cannot use; otherwise the last existing part."""
    seen = None
    for part in reversed((place, *place.parents) if place else ()):
        try:
            is_folder = part.is_dir()
            if not (is_folder or part.exists()):
                break
        except OSError:
            break
        seen = part
        if not os.access(part, os.X_OK if is_folder else os.R_OK):
            break
    return seen


def _is_other_than_folder(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except OSError:
        return False


def _name_of(uid: int) -> str:
    """Return the name of a user, or the number if it has no name, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
