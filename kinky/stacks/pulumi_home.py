"""Pulumi's home of our own: it keeps no log of each command, and Pulumi finds its plugins there without a warning."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from kinky import paths

PLUGINS: Final = ("pulumi-language-python", "pulumi-resource-pulumi-python", "pulumi-resource-kubernetes")
VERSION: Final = "1000.0.0"
"""Above each version that a program or a state asks for; Pulumi takes the newest plugin."""
LAUNCHER: Final = """#!/bin/sh
# Pulumi warns of each plugin that it finds on PATH, and of none in its home. PATH still says which program it is.
exec "${0##*/}" "$@"
"""
NO_LOGS: Final = "This file keeps Pulumi from a log of each command, with each property of each resource.\n"
SETTINGS: Final = {
    # Look for plugins in the home only, and take a newer one than the program or the state asks for.
    "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
    "PULUMI_ENABLE_LEGACY_PLUGIN_SEARCH": "true",
}


def ensure_home(named: str | None) -> dict[str, str]:
    """Return the variables of Pulumi's home; a home that the admin named is left alone, and Pulumi warns there."""
    home = paths.pulumi_home()
    if named and Path(named) != home:
        return {"PULUMI_HOME": named}
    home.mkdir(parents=True, exist_ok=True)
    _keep_no_logs(home / "logs")
    for plugin in PLUGINS:
        _write_launcher(home / "plugins" / f"{plugin.removeprefix('pulumi-')}-v{VERSION}" / plugin)
    return {"PULUMI_HOME": str(home), **SETTINGS}


def _keep_no_logs(logs: Path) -> None:
    """Put a file where Pulumi would log each command: without the folder it keeps no logs.

    They hold each property of each resource, up to 500 MB of them, and cost processor time. There is no setting.
    """
    if logs.is_dir():
        shutil.rmtree(logs, ignore_errors=True)
    if not logs.exists():
        logs.write_text(NO_LOGS)


def _write_launcher(path: Path) -> None:
    """Write the launcher of a plugin, unless it is there; a Pulumi that starts meanwhile finds a whole one."""
    if path.is_file() and path.read_text() == LAUNCHER:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_text(LAUNCHER)
    new.chmod(0o755)
    new.replace(path)
