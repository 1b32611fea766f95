"""ShellCheck over all shell scripts: those of the guest, of the setup and of CI."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

import pytest

from kinky import paths, process

ROOT = paths.project_root()
GUEST = ROOT / "node-image/files/usr/lib/kinky"
FOLDERS = ("node-image", "setup", ".ci", "toolchain", "embedded-host")
PARTS = (*(path for path in GUEST.iterdir() if path.is_file()), ROOT / "toolchain/python-language-host/find-python.sh")
"""Files that a script sources: not all of them say what they are."""


def is_script(path: Path) -> bool:
    return path.is_file() and path.read_bytes().startswith(b"#!/bin/")


SCRIPTS = sorted({*PARTS, *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if is_script(path))})
LEFT_OUT = {
    "SC1010": "`stage done` names a stage",
    "SC1090": "a script sources the part of its role or ground, by name",
    "SC1091": "sourced files are where they will be in the guest",
    "SC2034": "a part sets variables for the script that sources it",
    "SC2154": "a part reads variables of the script that sources it",
    "SC2174": "the folders above exist, or may have any mode",
}
"""What is not looked for, and why."""
PROGRAM = shutil.which("shellcheck", path=sysconfig.get_path("scripts")) or shutil.which("shellcheck")


@pytest.mark.skipif(PROGRAM is None, reason="no shellcheck: pip install -r requirements.txt brings it")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    assert PROGRAM is not None
    # Parts have no first line that names their shell; Debian's sh is dash.
    shell = [] if script.read_text().startswith("#!") else ["--shell=dash"]
    options = ["--severity=warning", f"--exclude={','.join(LEFT_OUT)}", "--format=gcc", *shell]
    process.run([PROGRAM, *options, script], reason="check a script", timeout_seconds=60)
