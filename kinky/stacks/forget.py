"""Forgetting a stack: its state and its files on this machine go, and no host is touched."""

from __future__ import annotations

from kinky.stacks.file import StackFile
from kinky.stacks.passphrase import forget_salt


def forget(stack_file: StackFile, *, with_copies: bool = False) -> None:
    """Drop the state of a stack and its files on this machine.

    Args:
        with_copies: Whether Pulumi's copies of the state go too: nobody wants back the state of a leased cluster.
    """
    from kinky.ownership.residue import remove_local_state
    from kinky.stacks.engine import open_engine

    engine = open_engine(stack_file)
    if engine.exists():
        engine.forget(with_copies=with_copies)
    remove_local_state(stack_file.cluster)
    forget_salt(stack_file.path)
