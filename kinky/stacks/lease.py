"""A stack whose cluster its host has removed: Pulumi's state still lists what is gone, and is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinky.progress import note
from kinky.stacks.file import StackFile
from kinky.stacks.forget import forget

if TYPE_CHECKING:
    from kinky.stacks.engine import StackEngine


def drop_ended(stack_file: StackFile, engine: StackEngine) -> bool:
    """Drop the state of a stack whose lease has ended, once the host holds nothing of its cluster; tell whether it did.

    Raises:
        KinkyError: It is another host, it does not answer, or something of the cluster is left on it.
    """
    from kinky.ownership.lease import has_ended, wait_removed
    from kinky.reach.reach import Reach

    if stack_file.config.cluster.lease is None:
        return False
    made = engine.find_made() if engine.exists() else None
    if made is None:
        return False
    api = Reach(made).host()
    if not has_ended(api):
        return False
    wait_removed(api)
    forget_ended(stack_file)
    return True


def require_lease(engine: StackEngine) -> None:
    """Refuse a lease for a cluster that was made without one, before the stack's file is changed; raises HostError."""
    from kinky.ownership.lease import require_leased
    from kinky.reach.reach import Reach

    made = engine.find_made() if engine.exists() else None
    if made is not None:
        require_leased(Reach(made).host())


def forget_ended(stack_file: StackFile) -> None:
    """Drop Pulumi's state and the files on this machine, and tell it."""
    forget(stack_file, with_copies=True)
    note(f"stack {stack_file.stack}: its lease has ended, and nothing of its cluster is left; its state was dropped")
