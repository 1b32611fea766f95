"""Where this machine's apt has Debian from, asked of apt itself: its files have two formats, and switches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from kinky import process
from kinky.errors import KinkyError

COMMAND: Final = ("apt-get", "indextargets", "--format")
FORMAT: Final = "$(ORIGIN)|$(CODENAME)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)"
UNKNOWN: Final = "$(ORIGIN)"
"""The text that apt leaves in place of an origin which the source has not sent yet."""
INDIRECT: Final = "mirror+file:"
"""Before the path of a file with the addresses, as Debian's images for clouds have it."""


def fetch_mirror() -> str:
    """Return the address of the Debian mirror that this machine uses for its own release, without a trailing slash.

    Raises:
        KinkyError: apt has none.
    """
    codename = _codename(Path("/etc/os-release").read_text())
    # First what apt has fetched: of that it knows whether it is Debian's. Then whatever is written in its files.
    for options in ((), ("--no-release-info",)):
        targets = process.run(
            [*COMMAND, FORMAT, *options, "Created-By: Packages"],
            reason="find the Debian mirror of this machine",
            timeout_seconds=30,
        )
        mirror = parse_mirror(targets, codename=codename)
        if mirror:
            return _follow(mirror)
    raise KinkyError(
        f"no Debian mirror: apt has no source with the component main of this machine's release {codename}",
        hint="add one to /etc/apt/sources.list.d on a Debian machine, then: apt-get update",
    )


def parse_mirror(targets: str, *, codename: str) -> str | None:
    """Return the first address of this release in apt's answer; other programs' sources name Debian's releases too."""
    for line in targets.splitlines():
        origin, *releases, component, address = line.split("|")
        if origin in ("Debian", UNKNOWN) and codename in releases and component == "main":
            return address.rstrip("/")
    return None


def _follow(mirror: str) -> str:
    """Return the first address in the file, if the mirror is one."""
    if not mirror.startswith(INDIRECT):
        return mirror
    path = Path(mirror.removeprefix(INDIRECT))
    lines = path.read_text().splitlines() if path.is_file() else []
    for line in lines:
        address = line.partition("#")[0].split()
        if address:
            return address[0].rstrip("/")
    raise KinkyError(
        f"no Debian mirror: apt's source {mirror} names none", hint=f"write the address of one into {path}"
    )


def _codename(os_release: str) -> str:
    match = re.search(r"^VERSION_CODENAME=\"?([a-z]+)", os_release, re.MULTILINE)
    return match[1] if match else "unknown"
