"""Forgetting a stack: its state and its files on this machine go, and no host is touched."""

from __future__ import annotations

from kinky.cli.passphrase import forget_salt
from kinky.cli.stack_file import StackFile


def forget(stack_file: StackFile) -> None:
    """Drop the state of a stack and its files on this machine."""
    from kinky.bootstrap.residue import remove_local_state
    from kinky.cli.stack_engine import open_engine

    engine = open_engine(stack_file)
    if engine.exists():
        engine.forget()
    remove_local_state(stack_file.cluster)
    forget_salt(stack_file.path)
