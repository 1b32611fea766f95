"""The command `kinky` as another person would call it: Pulumi and its signals stay out of the tests' own process."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from kinky import names, paths, process
from kinky.stacks.file import StackFile

UP_SECONDS: Final = 3600.0
"""An emulated cluster takes a quarter of an hour; `kinky up` has limits of its own, which name the cause."""
END_SECONDS: Final = 900.0
PASSPHRASE: Final = "tests-passphrase"  # noqa: S105 - the name of a file


def run_kinky(command: str, *arguments: str, stack: StackFile, log: Path, limit_seconds: float) -> None:
    """Run one command about a stack to its end; what it prints goes to the log.

    Raises:
        CommandError: It failed; the error has its last lines.
    """
    # The checkout may be no part of this interpreter's path, as in a virtual environment of somebody else's tests.
    environment = {"PYTHONPATH": str(paths.import_root()), **({} if stack.embedded else _passphrase())}
    process.run(
        [sys.executable, "-P", "-m", "kinky.cli.main", *command.split(), *arguments, "--stack", stack.stack],
        reason=f"{command} inner cluster {stack.cluster}",
        timeout_seconds=limit_seconds,
        env=environment,
        log=log,
    )


def _passphrase() -> dict[str, str]:
    """Return a passphrase of our own where the admin gave none: the state lives and ends with the tests' clusters.

    Stacks of the embedded host have one already, with which a person can go on when a cluster is kept.
    """
    if names.PASSPHRASE_VARIABLE in os.environ or names.PASSPHRASE_FILE_VARIABLE in os.environ:
        return {}
    path = paths.state_dir() / PASSPHRASE
    with suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    return {names.PASSPHRASE_FILE_VARIABLE: str(path)}
