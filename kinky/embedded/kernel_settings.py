"""Settings and modules of the machine's kernel that container guests need and cannot change themselves.

A virtual machine has a kernel of its own, and its files in /etc/sysctl.d and /etc/modules-load.d. A container guest
sees the machine's settings read-only and may load no module. `host up` sets them, and `host down` puts them back.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kinky import process
from kinky.embedded.layout import Layout
from kinky.errors import CommandError

SYSTEM: Final = Path("/proc/sys")
LEAST: Final = {"fs.inotify.max_user_instances": 8192, "fs.inotify.max_user_watches": 524288}
"""Limits for user 0 of the whole kernel, and so for all guests together. Five guests used up the usual 128 instances:
then containerd starts without its CRI plugin. They are raised and never lowered."""
EXACT: Final = {
    "kernel.keys.root_maxbytes": 25000000,
    "kernel.keys.root_maxkeys": 1000000,
    "kernel.panic": 10,
    "kernel.panic_on_oops": 1,
    "vm.overcommit_memory": 1,
    "vm.panic_on_oom": 0,
}
"""A kubelet compares these and writes its own values. It does not start where it cannot, so they must be there."""
MODULES: Final = (
    *("loop", "fuse", "overlay", "br_netfilter", "veth", "vxlan", "nf_conntrack", "nf_conntrack_netlink", "nf_tables"),
    # Rules of kube-proxy and flannel.
    *("nft_chain_nat", "nft_ct", "nft_fib_inet", "nft_limit", "nft_masq", "nft_nat", "nft_numgen", "nft_redir"),
    "nft_reject_inet",
)


def read_boot_id() -> str:
    """Return what tells this boot of the machine from all others."""
    return (SYSTEM / "kernel/random/boot_id").read_text().strip()


def load_modules() -> None:
    """Load the modules; a built-in or absent one is not an error here, because only a working guest counts."""
    if shutil.which("modprobe"):
        with contextlib.suppress(CommandError):
            process.run(["modprobe", "-q", "-a", *MODULES], reason="load modules for guests", timeout_seconds=20)


def ensure(place: Layout) -> str:
    """Set what is missing, and keep the old values for `restore`.

    Returns:
        In one line, what could not be set; empty if all is well.
    """
    kept = _read_kept(place)
    failed = []
    for name, wanted in _list_missing():
        path = _path(name)
        try:
            before = path.read_text().strip()
            kept.setdefault(name, before)
            # Written first: a run that is killed here must not take the new value for the old one.
            _write_kept(place, kept)
            path.write_text(f"{wanted}\n")
        except OSError as error:
            failed.append(f"{name} cannot be set to {wanted}: {error.strerror}")
    return "; ".join(failed)


def restore(place: Layout) -> None:
    """Put the old values back, except where somebody has chosen another value since."""
    for name, before in _read_kept(place).items():
        with contextlib.suppress(OSError):
            if _path(name).read_text().strip() == str({**LEAST, **EXACT}.get(name)):
                _path(name).write_text(f"{before}\n")
    place.kernel_settings.unlink(missing_ok=True)


def _list_missing() -> Iterator[tuple[str, int]]:
    """Yield each setting that does not have the value that guests need, with that value."""
    for name, wanted in {**LEAST, **EXACT}.items():
        try:
            present = int(_path(name).read_text())
        except (OSError, ValueError):
            # `ensure` tries it and tells the reason.
            present = -1
        if present < wanted if name in LEAST else present != wanted:
            yield name, wanted


def _path(name: str) -> Path:
    return SYSTEM / name.replace(".", "/")


def _read_kept(place: Layout) -> dict[str, str]:
    """Return the values from before; those of an earlier boot are gone with it."""
    try:
        kept = json.loads(place.kernel_settings.read_text())
        return dict(kept["settings"]) if kept["boot"] == read_boot_id() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_kept(place: Layout, kept: dict[str, str]) -> None:
    temporary = place.kernel_settings.with_suffix(".new")
    temporary.write_text(json.dumps({"boot": read_boot_id(), "settings": kept}))
    temporary.replace(place.kernel_settings)
