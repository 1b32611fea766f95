"""The way to a stack's cluster for commands, as `up` has left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinky.stacks.file import StackFile

if TYPE_CHECKING:
    from kinky.reach.reach import Reach
    from kinky.stores.store import Store


def find_reach(stack_file: StackFile) -> Reach:
    """Return the way to the stack's cluster, after a check that `up` made the cluster on this host.

    Raises:
        KinkyError: It is another host, its cluster belongs to another stack, or its lease has ended.
    """
    from kinky.ownership.lease import describe_ended, has_ended
    from kinky.ownership.record import recognise
    from kinky.reach.host import find_host

    reach = recognise(find_host(stack_file.config), stack_file.stack)
    # An object that is written after the end would have no owner, and stay.
    if stack_file.config.cluster.lease is not None and has_ended(reach.host()):
        raise describe_ended(reach.access)
    return reach


def find_store(stack_file: StackFile, reach: Reach) -> Store:
    """Return the stack's secrets store; it asks the inner API only when it needs that."""
    from kinky.stores.opening import describe_store, open_store

    return open_store(describe_store(stack_file.config), reach)
