"""Forgetting a stack: its state and its files on this machine go, and no host is touched."""

from __future__ import annotations

from kinky.stacks.file import StackFile
from kinky.stacks.passphrase import forget_salt


def forget(stack_file: StackFile) -> None:
    """Drop the state of a stack and its files on this machine."""
    from kinky.ownership.residue import remove_local_state
    from kinky.stacks.engine import open_engine

    engine = open_engine(stack_file)
    if engine.exists():
        engine.forget()
    remove_local_state(stack_file.cluster)
    forget_salt(stack_file.path)
