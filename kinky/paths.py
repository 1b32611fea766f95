"""Where KinKy keeps things outside the checkout, so that a clone stays clean and two clones share one cache.

`KINKY_CACHE_DIR` and `KINKY_STATE_DIR` override the XDG directories. The cache can be deleted at any time; the state
holds credentials, so its directories are made with mode 0700.
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return the directory for everything that can be made again: tools, images."""
    return _base("KINKY_CACHE_DIR", "XDG_CACHE_HOME", ".cache", mode=0o755)


def state_dir() -> Path:
    """Return the private directory for what must be kept: host, stacks, credentials."""
    return _base("KINKY_STATE_DIR", "XDG_STATE_HOME", ".local/state", mode=0o700)


def tools_dir() -> Path:
    """Return the directory below which each built or fetched tool has its own folder."""
    return cache_dir() / "tools"


def node_image_dir() -> Path:
    """Return the directory of node images, one folder for each content hash."""
    return cache_dir() / "node-image"


def host_dir() -> Path:
    """Return the private directory of the embedded host."""
    return _private(state_dir() / "host")


def host_kubeconfig() -> Path:
    """Return the path of the embedded host's kubeconfig, whether or not it exists."""
    return host_dir() / "kubeconfig.yaml"


def host_door() -> Path:
    """Return the path of the socket through which the embedded host leads to its pods, whether or not it exists."""
    return host_dir() / "pods.sock"


def pulumi_backend_dir() -> Path:
    """Return the private directory of the local Pulumi state backend."""
    return _private(state_dir() / "pulumi")


def pulumi_home() -> Path:
    """Return the directory of Pulumi's own plugins and logs, whether or not it exists."""
    return state_dir() / "pulumi-home"


def passphrase_file() -> Path:
    """Return the path of the file that holds the stacks' passphrase, whether or not it exists."""
    return state_dir() / "passphrase"


def stack_dir(cluster: str) -> Path:
    """Return the private directory of one inner cluster: kubeconfig.yaml, forward.pid, forward.log."""
    return _private(_private(state_dir() / "clusters") / cluster)


def project_root() -> Path:
    """Return the checkout that this package was imported from."""
    return Path(__file__).resolve().parent.parent


def _base(own: str, xdg: str, fallback: str, *, mode: int) -> Path:
    """Return and create the directory named by `own`, else by the XDG variable, else below the home directory."""
    chosen = os.environ.get(own)
    if chosen:
        path = Path(chosen).expanduser().absolute()
    else:
        base = os.environ.get(xdg, "")
        # The XDG specification says that a relative path is to be ignored.
        root = Path(base) if Path(base).is_absolute() else Path.home() / fallback
        path = root / "kinky"
    return _private(path) if mode == 0o700 else _shared(path)


def _private(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


def _shared(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
