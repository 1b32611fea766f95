"""The guest's scripts over a fake root: every path that they name begins in a folder of the test."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from kinky import paths

SCRIPTS = paths.project_root() / "node-image/files/usr/lib/kinky"
ABSOLUTE = re.compile(r"(?<![\w$}*/])/(?:dev|etc|proc|run|sys|usr/lib/kinky|var)/")
"""The start of a path, not the middle of one."""


class GuestTree:
    """A root with the scripts, and shell functions in place of the programs that would touch this machine."""

    def __init__(self, root: Path) -> None:
        """Copy all scripts; their paths lead into `root`."""
        self.root = root
        for source in SCRIPTS.rglob("*"):
            if source.is_file():
                self.write(f"/usr/lib/kinky/{source.relative_to(SCRIPTS)}", self._move(source.read_text()))
        for folder in ("dev", "proc", "run", "sys"):
            (root / folder).mkdir()

    def write(self, path: str, text: str = "") -> Path:
        """Write a file of the guest."""
        file = self.root / path.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def read(self, path: str) -> str:
        """Read a file of the guest; nothing where there is none."""
        file = self.root / path.removeprefix("/")
        return file.read_text() if file.exists() else ""

    def stand_on(self, ground: str) -> None:
        """Make what a guest sees on this ground; a container also sees the firmware of its machine."""
        if ground == "container":
            (self.root / "run/kinky-container/disk").mkdir(parents=True)
        asset = "" if ground == "kvm" else "emulated\n"
        self.write("/sys/class/dmi/id/chassis_asset_tag", asset)

    def run(self, shell: str, *, stubs: str = "") -> subprocess.CompletedProcess[str]:
        """Run shell lines after stage.sh, as the scripts do; `stubs` stand in for programs."""
        lines = f"{stubs}\n. /usr/lib/kinky/stage.sh\n{shell}"
        return subprocess.run(["sh", "-eu"], input=self._move(lines), text=True, capture_output=True, timeout=60)

    def _move(self, text: str) -> str:
        # Nothing of this machine can be read or written by accident; only /dev/null stays what it is.
        return ABSOLUTE.sub(lambda found: f"{self.root}{found[0]}", text).replace(f"{self.root}/dev/null", "/dev/null")


def read_part(script: str, first: str, last: str) -> str:
    """Read a script's lines from the one that begins with `first` to the one before `last`."""
    text = (SCRIPTS / script).read_text()
    start = text.index(f"\n{first}") + 1
    return text[start : text.index(f"\n{last}", start) + 1]
