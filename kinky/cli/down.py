"""`kinky down`: from running stacks back to a machine on which nothing of KinKy runs."""

from __future__ import annotations

import argparse

from kinky import paths
from kinky.cli import options, stack
from kinky.errors import KinkyError
from kinky.progress import note, phase
from kinky.stacks.file import StackFile, list_stacks, read_stack_file
from kinky.stacks.forget import forget


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky down`."""
    parser = options.command_parser(
        command, description="Destroy the stacks of the embedded host, stop that host and remove its data."
    )
    options.set_run(parser, run_down)
    return parser


def run_down(arguments: argparse.Namespace) -> int:
    """Destroy, stop, forget. A stack that cannot be read or destroyed keeps no host, but the exit code tells."""
    from kinky.embedded import host
    from kinky.reach.forward import stop_all_forwards

    stacks, failures = _embedded_stacks()
    if host.status().running:
        failures += [failure for found in stacks if (failure := _destroy(found))]
    with phase("stopping the embedded host"):
        stop_all_forwards()
        host.down(purge=True)
    for found in stacks:
        forget(found)
    for failure in failures:
        # Not as a ConfigError, which would say that nothing was touched.
        raise KinkyError(failure.message, details=failure.details, hint=failure.hint)
    return 0


def _embedded_stacks() -> tuple[list[StackFile], list[KinkyError]]:
    """Return the embedded host's stacks, and what is wrong with files that cannot be read.

    Without a backend there are no stacks, and Pulumi need not be made to ask it.
    """
    stacks: list[StackFile] = []
    failures: list[KinkyError] = []
    for name in list_stacks() if any(paths.pulumi_backend_dir().iterdir()) else []:
        try:
            found = read_stack_file(name)
        except KinkyError as error:
            note(
                f"{error}\nthe host goes all the same; if the stack is its own, mend the file and call kinky down again"
            )
            failures.append(error)
        else:
            stacks += [found] if found.embedded else []
    return stacks, failures


def _destroy(stack_file: StackFile) -> KinkyError | None:
    try:
        stack.destroy(stack_file)
    except KinkyError as error:
        note(f"{error}\nthe host goes all the same, and everything on it")
        return error
    return None
