"""The way to a stack's cluster for commands that only look, also at one that `up` has not finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinky.stacks.file import StackFile

if TYPE_CHECKING:
    from kinky.status.target import LookingReach, Target


def find_way(stack_file: StackFile) -> LookingReach:
    """Return the way to the cluster; nothing is asked yet."""
    from kinky.ownership.record import with_kept
    from kinky.reach.host import find_host
    from kinky.status.target import LookingReach

    return LookingReach(with_kept(find_host(stack_file.config)))


def open_way(stack_file: StackFile, way: LookingReach, *, timeout_seconds: float | None = None) -> Target:
    """Return the cluster as something to look at.

    Args:
        timeout_seconds: Limit of one question; None is each probe's own.
    """
    from kinky.stacks.inner import find_store
    from kinky.status.target import open_target

    store = find_store(stack_file, way)
    return open_target(stack_file.stack, stack_file.config, way, store=store, timeout_seconds=timeout_seconds)
