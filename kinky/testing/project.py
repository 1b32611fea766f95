"""The Pulumi project of clusters for tests: somebody else's repository may have one of its own, or none."""

from __future__ import annotations

import os

from kinky import paths
from kinky.stacks.project import write_project


def use_own_project() -> None:
    """Let this process and its children use a project in the state directory; a checkout is a project already."""
    if paths.is_checkout():
        return
    folder = paths.state_dir() / "testing"
    write_project(folder)
    os.environ[paths.PROJECT_VARIABLE] = str(folder)
