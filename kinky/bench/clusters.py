"""A stack of container guests that is made for a measurement and removed after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from kinky import names
from kinky.accelerator import Accelerator
from kinky.bench.commands import run_kinky
from kinky.bench.ground import settings
from kinky.errors import HostError
from kinky.progress import phase
from kinky.retry import Pending, wait_until
from kinky.stacks.file import StackFile

CONTAINER: Final = {"host.accelerator": Accelerator.CONTAINER.value}
OK_SECONDS: Final = 300.0
EXIT_CODES: Final = (0, 1, 2, 3)
"""Those of `kinky status`: each is a verdict."""


def require_containers() -> None:
    """Refuse a host without container guests: elsewhere these measurements would take hours."""
    from kinky.embedded import host

    offer = host.status().container_guests
    if offer != names.OFFERED:
        raise HostError(f"the host offers no container guests: {offer}", hint="kinky host status shows the reason")


@contextmanager
def made(stack_file: StackFile, values: Mapping[str, str]) -> Iterator[StackFile]:
    """Make the stack with these settings and wait until it is OK; it and the settings go with the block."""
    with settings(stack_file, CONTAINER | dict(values)) as here:
        with phase("bench: destroy what is there"):
            run_kinky(here, "destroy")
        try:
            with phase("bench: up"):
                run_kinky(here, "up")
            wait_ok(here)
            yield here
        finally:
            with phase("bench: destroy"):
                run_kinky(here, "destroy")


def wait_ok(stack_file: StackFile) -> None:
    """Wait until `kinky status` says OK of everything.

    Raises:
        WaitError: It does not in time.
    """

    def look() -> bool | Pending:
        code = run_kinky(stack_file, "status", allowed=EXIT_CODES).code
        return code == 0 or Pending(f"kinky status: exit code {code}")

    with phase("bench: the cluster is OK", limit_seconds=OK_SECONDS) as running:
        wait_until(look, what="the cluster is OK", deadline_seconds=OK_SECONDS, on_change=running.note)
