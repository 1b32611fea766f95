"""Where KinKy keeps things outside the checkout, so that a clone stays clean and two clones share one cache.

`KINKY_CACHE_DIR` and `KINKY_STATE_DIR` override the XDG directories. The cache can be deleted at any time, and one user
can fill it for others. The state holds credentials, so its directories are made with mode 0700.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kinky import os_errors
from kinky.errors import HostError

CACHE_VARIABLE: Final = "KINKY_CACHE_DIR"
STATE_VARIABLE: Final = "KINKY_STATE_DIR"
SHARED: Final = 0o755
PRIVATE: Final = 0o700
_WRITING: Final = threading.RLock()
PROJECT_FILE: Final = "Pulumi.yaml"
PROJECT_VARIABLE: Final = "KINKY_PROJECT_DIR"
"""Names the Pulumi project of an installed KinKy, for programs that have none around them."""
_BASES: Final = {
    CACHE_VARIABLE: ("XDG_CACHE_HOME", ".cache"),
    STATE_VARIABLE: ("XDG_STATE_HOME", ".local/state"),
}
"""Defaults for each variable: the variable of the XDG specification, then a folder of the home directory."""


def cache_dir() -> Path:
    """Return the directory for everything that can be made again: tools, images."""
    return _base(CACHE_VARIABLE, mode=SHARED)


def state_dir() -> Path:
    """Return the private directory for what must be kept: host, stacks, credentials."""
    return _base(STATE_VARIABLE, mode=PRIVATE)


def tools_dir() -> Path:
    """Return the directory below which each built or fetched tool has its own folder."""
    return cache_dir() / "tools"


def node_image_dir() -> Path:
    """Return the directory of node images, one folder for each content hash."""
    return cache_dir() / "node-image"


def current_node_image(release: str) -> Path:
    """Return the path of the record of the image of a release that was built last, whether or not it exists."""
    return node_image_dir() / f"current-{release}.json"


def host_dir() -> Path:
    """Return the private directory of the embedded host."""
    return _private(state_dir() / "host")


def host_kubeconfig() -> Path:
    """Return the path of the embedded host's kubeconfig, whether or not it exists."""
    return host_dir() / "kubeconfig.yaml"


def host_keys_dir() -> Path:
    """Return the directory of the embedded host's certificates and keys, whether or not it exists."""
    return state_dir() / "host" / "kubernetes" / "pki"


def reports_dir() -> Path:
    """Return the private directory of reports on unexpected errors."""
    return _private(state_dir() / "reports")


def boots_dir() -> Path:
    """Return the private directory with the times of boots, a file for each host."""
    return _private(state_dir() / "boots")


def host_door() -> Path:
    """Return the path of the socket through which the embedded host leads to its pods, whether or not it exists."""
    return host_dir() / "pods.sock"


def pulumi_backend_dir() -> Path:
    """Return the private directory of the local Pulumi state backend."""
    return _private(state_dir() / "pulumi")


def pulumi_home() -> Path:
    """Return the directory of Pulumi's own files, whether or not it exists."""
    return state_dir() / "pulumi-home"


def passphrase_file() -> Path:
    """Return the path of the file that holds the stacks' passphrase, whether or not it exists."""
    return state_dir() / "passphrase"


def stack_dir(cluster: str) -> Path:
    """Return the private directory of one inner cluster: kubeconfig.yaml, forward.pid, forward.log."""
    return _private(_private(state_dir() / "clusters") / cluster)


def import_root() -> Path:
    """Return the folder that Python imports this package from; a program of ours gets it as PYTHONPATH."""
    return Path(__file__).resolve().parent.parent


def data_root() -> Path:
    """Return the folder with recipes, releases and templates: the checkout, or what the wheel brought."""
    brought = Path(__file__).resolve().parent / "data"
    return brought if brought.is_dir() else import_root()


def is_checkout() -> bool:
    """Tell whether this is a checkout, which is a Pulumi project itself, and not an installed package."""
    return data_root() == import_root()


def project_root() -> Path:
    """Return the folder of the Pulumi project: the checkout, or with a wheel the nearest one with a Pulumi.yaml.

    Without such a folder it is the one in which the command runs.
    """
    if is_checkout():
        return import_root()
    if PROJECT_VARIABLE in os.environ:
        return Path(os.environ[PROJECT_VARIABLE])
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / PROJECT_FILE).is_file()), here)


def find_variable(path: Path) -> str | None:
    """Return the variable that sets the directory around a path; None if the path is not ours."""
    around: dict[str, Path] = {}
    for own in _BASES:
        # Without a home directory, only paths from a variable can be ours.
        with contextlib.suppress(HostError):
            if path.is_relative_to(base := _locate(own)):
                around[own] = base
    # One of the two may be inside the other.
    return max(around, key=lambda own: len(around[own].parts), default=None)


def folder_mode(path: Path) -> int:
    """Return the mode of the directories around a path: one user fills the cache for others, all else is private."""
    return SHARED if find_variable(path) == CACHE_VARIABLE else PRIVATE


@contextlib.contextmanager
def modes_of(path: Path) -> Iterator[None]:
    """Give files that the block or its programs write the modes of the place, whatever the caller's umask is.

    The umask belongs to the whole process, so only one thread at a time is in such a block.
    """
    with _WRITING:
        before = os.umask(0o777 & ~folder_mode(path))
        try:
            yield
        finally:
            os.umask(before)


def make_folder(path: Path, *, mode: int) -> None:
    """Make a directory and its missing parents with this mode, whatever the umask is.

    Raises:
        OSError: It cannot be made.
    """
    try:
        path.mkdir(mode)
    except FileNotFoundError:
        make_folder(path.parent, mode=mode)
        path.mkdir(mode, exist_ok=True)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    path.chmod(mode)


def explain(error: OSError, path: Path | None = None) -> HostError:
    """Return the error for the user; its hint names the variable for the directory."""
    named = path or (Path(error.filename) if isinstance(error.filename, str) else None)
    variable = find_variable(named) if named else None
    cache = _locate(CACHE_VARIABLE) if variable == CACHE_VARIABLE else None
    return os_errors.explain(error, path=named, variable=variable, cache=cache)


def show_named(path: Path) -> str:
    """Return the path of a secret's file for a message, unless the user may have given the secret itself."""
    try:
        is_path = len(path.parts) > 1 or path.exists()
    except OSError:
        is_path = False
    return str(path) if is_path else "(not shown, because it may be the secret itself)"


def explain_no_home() -> HostError:
    """Return the error for a user without a home directory, as in some containers and services."""
    return HostError(
        f"no home directory is known: HOME is not set, and user {os.geteuid()} has none",
        hint=f"export HOME, or {STATE_VARIABLE} and {CACHE_VARIABLE}",
    )


def _base(own: str, *, mode: int) -> Path:
    """Return the directory that a variable names, and make it if need be; a private one must be writable."""
    path = _locate(own)
    try:
        make_folder(path, mode=mode)
        if mode == PRIVATE:
            _narrow(path)
            if not os.access(path, os.W_OK | os.X_OK):
                raise OSError(errno.EROFS if _is_read_only(path) else errno.EACCES, "", str(path))
    except OSError as error:
        raise explain(error, path) from None
    return path


def _locate(own: str) -> Path:
    """Return the directory by `own`, then by the XDG variable, then below the home directory; makes nothing.

    Raises:
        HostError: There is no home directory.
    """
    xdg, fallback = _BASES[own]
    chosen, base = os.environ.get(own), os.environ.get(xdg, "")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        # The XDG specification says that a relative path is to be ignored.
        root = Path(base) if Path(base).is_absolute() else Path.home() / fallback
    except RuntimeError:
        raise explain_no_home() from None
    return root / "kinky"


def _private(path: Path) -> Path:
    try:
        make_folder(path, mode=PRIVATE)
        _narrow(path)
    except OSError as error:
        raise explain(error, path) from None
    return path


def _narrow(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        path.chmod(PRIVATE)


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
