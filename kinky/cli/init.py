"""`kinky init`: a Pulumi project of one's own that makes an inner cluster."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from kinky.cli import options
from kinky.cli.version import find_version
from kinky.errors import ConfigError
from kinky.progress import note
from kinky.stacks.file import STACK_NAME
from kinky.stacks.project import PROJECT, write_project

DEFAULT_STACK: Final = "dev"
FILES: Final = {
    "stacks/Pulumi.{stack}.yaml": """\
# Every key is described in docs/configuration.md of KinKy.
config:
  kinky:cluster:
    name: {stack}
  kinky:host:
    embedded: true # this machine, after `kinky host up`; for your own KubeVirt: kubeconfig and namespace in place of it
    accelerator: auto # container: guests at native speed, without isolation from this machine
""",
    "requirements.txt": "kinky=={version}\n",
}


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky init`."""
    parser = options.command_parser(
        command, description="Write a Pulumi project with one stack. It runs there by plain `pulumi up`."
    )
    parser.add_argument("--stack", "-s", default=DEFAULT_STACK, help="name of stack and cluster (default: dev)")
    parser.add_argument("folder", type=Path, help="where to write it; it is made if it is absent")
    options.set_run(parser, run_init)
    return parser


def run_init(arguments: argparse.Namespace) -> int:
    """Write the project; a file that is there already is not touched, and the command writes nothing then."""
    folder: Path = arguments.folder
    stack: str = arguments.stack
    if not STACK_NAME.fullmatch(stack):
        raise ConfigError(
            f"cannot write a project: {stack!r} cannot be the name of a stack", hint="use letters and digits"
        )
    version = find_version()
    own = {
        name.format(stack=stack): text.replace("{version}", version).replace("{stack}", stack)
        for name, text in FILES.items()
    }
    present = sorted(name for name in (*PROJECT, *own) if (folder / name).exists())
    if present:
        raise ConfigError(
            f"cannot write a project to {folder}: it has {', '.join(present)}", hint="choose an empty folder"
        )
    write_project(folder)
    for name, text in own.items():
        (folder / name).write_text(text)
    note(f'next: cd {folder} && eval "$(kinky env --stack {stack})" && pulumi stack init {stack} && pulumi up')
    return 0
