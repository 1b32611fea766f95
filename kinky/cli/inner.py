"""The way to a stack's inner API for commands that act inside, as `up` has left it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kinky import paths
from kinky.cli.stack_file import StackFile
from kinky.errors import KinkyError

if TYPE_CHECKING:
    from kinky.bootstrap.stores.store import Store
    from kinky.kube.access import HostAccess
    from kinky.kube.inner import InnerApi

FORWARD_WAIT_SECONDS: Final = 10.0
"""How long a command waits for the forward to come back: less than the patience of a person."""


def find_stack_host(stack_file: StackFile) -> HostAccess:
    """Return the access to the stack's host, after a check that `up` made the cluster there.

    Raises:
        KinkyError: It is another host, its cluster belongs to another stack, or its lease has ended.
    """
    from kinky.bootstrap.lease import describe_ended, has_ended
    from kinky.bootstrap.record import recognise
    from kinky.program import find_host

    access = recognise(find_host(stack_file.config), stack_file.stack)
    # What is written after the end would have no owner, and stay.
    if stack_file.config.cluster.lease is not None and has_ended(access):
        raise describe_ended(access)
    return access


def find_inner(stack_file: StackFile, *, wait_seconds: float = FORWARD_WAIT_SECONDS) -> tuple[HostAccess, str]:
    """Return the host's access and the inner API's URL, with the way to it open.

    Args:
        wait_seconds: How long to wait for that; 0 for who can wait for a control plane that is away.
    """
    from kinky.bootstrap.credential import KUBECONFIG_FILE
    from kinky.bootstrap.forward import ensure_recorded_forward
    from kinky.kube.kubeconfig import read_server

    path = paths.stack_dir(stack_file.cluster) / KUBECONFIG_FILE
    if not path.is_file():
        raise KinkyError(
            f'stack "{stack_file.stack}": no kubeconfig yet: {path}', hint=f"kinky up --stack {stack_file.stack}"
        )
    access = find_stack_host(stack_file)
    ensure_recorded_forward(stack_file.cluster, wait_seconds=wait_seconds)
    return access, read_server(path)


def find_store(stack_file: StackFile, access: HostAccess) -> Store:
    """Return the stack's secrets store; the way to the inner API is opened only when the store asks for it."""
    from kinky.bootstrap.credential import connect_inner
    from kinky.bootstrap.stores.opening import describe_store, open_store

    def open_inner() -> InnerApi:
        return connect_inner(access, stack_file.cluster, find_inner(stack_file)[1])

    return open_store(describe_store(stack_file.config), access, stack_file.cluster, inner=open_inner)
