"""`kinky down`: from running stacks back to a machine on which nothing of KinKy runs."""

from __future__ import annotations

import argparse

from kinky import paths
from kinky.cli import options, stack
from kinky.cli.passphrase import forget_salt
from kinky.cli.stack_file import StackFile, list_stacks, read_stack_file
from kinky.errors import KinkyError
from kinky.progress import note, phase


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky down`."""
    parser = options.command_parser(
        command, description="Destroy the stacks of the embedded host, stop that host and remove its data."
    )
    options.set_run(parser, run_down)
    return parser


def run_down(arguments: argparse.Namespace) -> int:
    """Destroy, stop, forget. A destroy that fails does not keep the host, but the exit code tells."""
    from kinky.bootstrap.forward import stop_all_forwards
    from kinky.embedded import host

    stacks = _embedded_stacks()
    running = host.status().running
    failures = [failure for found in stacks if running and (failure := _destroy(found))]
    with phase("stopping the embedded host"):
        stop_all_forwards()
        host.down(purge=True)
    for found in stacks:
        _forget(found)
    for failure in failures:
        raise failure
    return 0


def _embedded_stacks() -> list[StackFile]:
    """Return the embedded host's stacks; none without a backend, and then Pulumi need not be made to ask it."""
    if not any(paths.pulumi_backend_dir().iterdir()):
        return []
    return [found for found in map(read_stack_file, list_stacks()) if found.embedded]


def _destroy(stack_file: StackFile) -> KinkyError | None:
    try:
        stack.destroy(stack_file)
    except KinkyError as error:
        note(f"{error}\nthe host goes all the same, and everything on it")
        return error
    return None


def _forget(stack_file: StackFile) -> None:
    """Drop the state of a stack whose host is gone: what it lists is gone too."""
    from kinky.bootstrap.residue import remove_local_state
    from kinky.cli.stack_engine import open_engine

    engine = open_engine(stack_file)
    if engine.exists():
        engine.forget()
    remove_local_state(stack_file.cluster)
    forget_salt(stack_file.path)
