"""Where Pulumi keeps a stack's state, by Pulumi's own rules (pkg/backend/diy); only this module reads its URL."""

from __future__ import annotations

import gzip
import json
import os
import pwd
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import yaml

from kinky.errors import ConfigError

VARIABLE: Final = "PULUMI_BACKEND_URL"
DAMAGED: Final = (OSError, EOFError, zlib.error, yaml.YAMLError, LookupError, TypeError, ValueError, RecursionError)
"""Errors of reading a damaged file of Pulumi's."""

_FILE: Final = "file://"
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_GZIP: Final = b"\x1f\x8b"
_ZSTANDARD: Final = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A backend of Pulumi's."""

    url: str
    """The URL for Pulumi; a folder's path in it is absolute."""
    folder: Path | None
    """The folder of a backend of files, whether or not it exists; None for any other."""
    is_service: bool
    """Whether the backend keeps the key to the state's secrets itself."""

    def find_state(self, project: str, stack: str) -> Path | None:
        """Return the file with a stack's state, compressed or not; None without such a file or folder."""
        for base in self._find_bases(project, stack):
            found = [file for file in (Path(f"{base}.json{suffix}") for suffix in ("", ".gz", ".zst")) if file.exists()]
            if found:
                # Pulumi takes the newest; the others are from before its setting was changed.
                return max(found, key=lambda file: file.stat().st_mtime)
        return None

    def list_state_folders(self, project: str) -> list[Path]:
        """Return the folders in which files of a stack may be, in the layout with projects and the one without."""
        return [base.parent for base in self._find_bases(project, "any")]

    def list_lock_folders(self, project: str, stack: str) -> list[Path]:
        """Return the folders in which locks of a stack may be, likewise."""
        if self.folder is None:
            return []
        locks = self.folder / ".pulumi" / "locks"
        return [locks / "organization" / project / stack, *([] if self._has_projects() else [locks / stack])]

    def list_copies(self, project: str, stack: str) -> list[Path]:
        """Return the files and folders with copies of a stack's state, which Pulumi keeps when the stack is removed."""
        if self.folder is None:
            return []
        backups = self.folder / ".pulumi" / "backups"
        folders = [backups / project / stack, *([] if self._has_projects() else [backups / stack])]
        files = [
            file
            for base in self._find_bases(project, stack)
            for file in base.parent.glob(f"{escape(base.name)}.json*.bak*")
        ]
        return [*files, *(folder for folder in folders if folder.is_dir())]

    def _find_bases(self, project: str, stack: str) -> Iterator[Path]:
        if self.folder is not None:
            stacks = self.folder / ".pulumi" / "stacks"
            yield from [] if self._has_projects() else [stacks / stack]
            yield stacks / project / stack

    def _has_projects(self) -> bool:
        """Tell whether the folder has the layout with projects: the other layout has no such file."""
        try:
            return int(yaml.safe_load((self.folder or Path()).joinpath(".pulumi/meta.yaml").read_text())["version"]) > 0
        except DAMAGED:
            return False


def choose_backend(environ: Mapping[str, str], *, own: Path, project: Path) -> Backend:
    """Return the backend: the admin's, by Pulumi's order, otherwise a folder of our own.

    A login counts only if the admin names Pulumi's home; otherwise it is for other programs.

    Args:
        own: Our folder.
        project: The folder with Pulumi.yaml, where a relative path in it starts.

    Raises:
        ConfigError: A file that names it, or its URL, is damaged.
    """
    if named := environ.get(VARIABLE):
        return parse_backend(named, base=Path.cwd())
    if named := _read_project(project / "Pulumi.yaml"):
        return parse_backend(named, base=project)
    home = environ.get("PULUMI_CREDENTIALS_PATH") or environ.get("PULUMI_HOME")
    if home and (named := _read_login(Path(home).expanduser() / "credentials.json")):
        return parse_backend(named, base=Path.cwd())
    return parse_backend(_FILE + quote(str(own)), base=own)


def parse_backend(url: str, *, base: Path | None = None) -> Backend:
    """Return the backend that a URL names.

    Args:
        base: Where a relative path starts; by default the working directory.

    Raises:
        ConfigError: Pulumi cannot read the URL of a folder.
    """
    match = _SCHEME.match(url)
    scheme = match.group(1).lower() if match else ""
    if scheme != "file":
        return Backend(url=url, folder=None, is_service=scheme in ("http", "https"))
    base = base or Path.cwd()
    where, mark, query = url.partition("?")
    if not url.startswith(_FILE):
        # In another spelling, such as file:/path, Pulumi uses the path twice: as the folder, and as a prefix in it.
        host, _, rest = (
            where[len("file://") :].partition("/") if where[5:7] == "//" else ("", "", where[len("file:") :])
        )
        path = _decode(url, rest).lstrip("/")
        folder = (base if host == "." else Path("/")) / path / path
        return Backend(url=url, folder=folder, is_service=False)
    path = where.removeprefix(_FILE)
    # Go cleans a path as text, before it follows any link.
    folder = Path(os.path.normpath(base / _decode(url, _expand(path))))
    absolute = url if path.startswith("/") else f"{_FILE}{quote(str(folder))}{mark}{query}"
    return Backend(url=absolute, folder=folder, is_service=False)


def read_state(file: Path) -> Any:
    """Return the content of a state file; raises one of DAMAGED, and ValueError for an unknown compression."""
    content = file.read_bytes()
    if content.startswith(_ZSTANDARD):
        raise ValueError("it is compressed with zstd, which KinKy cannot read")
    return json.loads(gzip.decompress(content) if content.startswith(_GZIP) else content)


def describe_damage(error: Exception) -> str:
    """Return why a file cannot be read, without its content."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return str(error) if type(error) is ValueError else f"damaged ({type(error).__name__})"


def _expand(path: str) -> str:
    """Replace a leading ~ as Pulumi does: by the home directory of the user database, not of the environment."""
    if not path.startswith("~"):
        return path
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        home = os.environ.get("HOME", "")
    return f"{quote(home)}/{path[2:]}"


def _decode(url: str, path: str) -> str:
    path = path.partition("#")[0]
    if _BAD_ESCAPE.search(path):
        raise ConfigError(
            f"Pulumi's backend {url}: it has a % without an escape such as %20",
            hint="write %25 for a % in the path",
        )
    return unquote(path)


def _read_project(file: Path) -> str:
    """Return the backend that Pulumi's project file names; Pulumi itself reports faults of the file."""
    try:
        return str((yaml.safe_load(file.read_text())["backend"] or {}).get("url") or "")
    except (AttributeError, *DAMAGED):
        return ""


def _read_login(file: Path) -> str:
    """Return the backend that `pulumi login` has chosen."""
    try:
        text = file.read_text()
        return str(json.loads(text).get("current") or "") if text.strip() else ""
    except FileNotFoundError:
        return ""
    except (AttributeError, *DAMAGED) as error:
        raise ConfigError(
            f"{file}: Pulumi's credentials cannot be read: {describe_damage(error)}",
            hint=f"pulumi login writes them again; or name the backend in {VARIABLE}",
        ) from None
