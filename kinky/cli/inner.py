"""The way to a stack's cluster for commands, as `up` has left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinky.cli.stack_file import StackFile

if TYPE_CHECKING:
    from kinky.bootstrap.reach import Reach
    from kinky.bootstrap.stores.store import Store


def find_reach(stack_file: StackFile) -> Reach:
    """Return the way to the stack's cluster, after a check that `up` made the cluster on this host.

    Raises:
        KinkyError: It is another host, or its cluster belongs to another stack.
    """
    from kinky.bootstrap.record import recognise
    from kinky.program import find_host

    return recognise(find_host(stack_file.config), stack_file.stack)


def find_store(stack_file: StackFile, reach: Reach) -> Store:
    """Return the stack's secrets store; it asks the inner API only when it needs that."""
    from kinky.bootstrap.stores.opening import describe_store, open_store

    return open_store(describe_store(stack_file.config), reach)
