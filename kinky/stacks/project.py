"""The two files that make a folder a Pulumi project of KinKy."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kinky import paths

PROJECT: Final = {
    paths.PROJECT_FILE: """\
# Pulumi's project file. Keep the name: KinKy finds the state of a stack by it.
name: kinky
description: Kubernetes clusters inside KubeVirt virtual machines
runtime: python
stackConfigDir: stacks
""",
    "__main__.py": """\
\"\"\"Makes the inner cluster that the stack's file describes.\"\"\"

from kinky import program

cluster = program.main()
# Declare your own resources here, with `cluster.workloads` as their provider.
""",
}


def write_project(folder: Path) -> None:
    """Write the files that are not there yet; a process beside this one may do the same."""
    (folder / "stacks").mkdir(parents=True, exist_ok=True)
    for name, text in PROJECT.items():
        if not (folder / name).exists():
            (folder / name).write_text(text)
