"""`kinky forget`: drop state and files of a stack whose host is gone or was rebuilt; no host is touched."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kinky.cli import options
from kinky.errors import KinkyError
from kinky.progress import note
from kinky.stacks.file import read_stack_file
from kinky.stacks.forget import forget

if TYPE_CHECKING:
    from kinky.kube.access import HostAccess


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky forget`."""
    parser = options.command_parser(
        command,
        description="Drop Pulumi's state of a stack and its files on this machine. Use it when the host is gone or was "
        "rebuilt. It deletes nothing on any host, and refuses a stack whose cluster is still there.",
    )
    options.add_stack(parser)
    options.set_run(parser, run_forget)
    return parser


def run_forget(arguments: argparse.Namespace) -> int:
    """Forget a stack; a stack that was never made is not an error."""
    from kinky.stacks.engine import open_engine

    stack_file = read_stack_file(arguments.stack)
    engine = open_engine(stack_file)
    made = engine.find_made() if engine.exists() else None
    if made is not None and _is_there(made):
        raise KinkyError(
            f'stack "{stack_file.stack}": its cluster {made.cluster} is still on the host; nothing was changed',
            hint=f"kinky destroy --stack {stack_file.stack} removes it",
        )
    forget(stack_file)
    note(f"stack {stack_file.stack} is forgotten; the next up makes a new cluster")
    return 0


def _is_there(made: HostAccess) -> bool:
    """Look for the cluster; a host that does not answer may be gone."""
    from kinky.ownership.record import is_there
    from kinky.reach.reach import Reach

    try:
        return is_there(Reach(made).host())
    except KinkyError as error:
        note(f"{error.message}; so it is unknown whether the cluster is still there")
        return False
