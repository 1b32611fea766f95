"""Files that others read while they are written: a reader sees the old content or the new one, never a half."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from kinky import paths
from kinky.errors import ConfigError

MODE: Final = 0o644
"""Other programs read these files, such as a metrics collector; they hold no secret."""


def write_whole(path: Path, content: str) -> None:
    """Write a file in one step.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    staged = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        staged.chmod(MODE)
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


def check_writable(option: str, path: Path | None) -> None:
    """Refuse a path that cannot be written, before anything is looked at; raises ConfigError with the option."""
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f"{option}: {path} is a folder", hint="name a file in it")
    if not path.parent.is_dir():
        raise ConfigError(f"{option}: there is no folder {path.parent}", hint="make it, or choose another one")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{option}: {path.parent} cannot be written", hint="choose a folder of your own")


def write_output(option: str, path: Path, content: str) -> None:
    """Write an output file; raises ConfigError with the option when it cannot be written."""
    try:
        write_whole(path, content)
    except OSError as error:
        raise ConfigError(f"{option}: {paths.explain(error, path).message}") from None
