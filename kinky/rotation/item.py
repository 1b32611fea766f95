"""The record of one item that can be rotated: everything that differs between items is a field of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from kinky.findings import Finding
from kinky.operations.journal import Journal
from kinky.operations.operation import Operation
from kinky.operations.plan import SubStep
from kinky.rotation.site import KeySite

VERB = "rotate"


@dataclass(frozen=True, kw_only=True)
class KeyState:
    """One key or certificate in use."""

    subject: str
    """Its place, or its owner."""
    fingerprint: str
    made_at: datetime | None
    """None when nothing tells."""


def check_nothing(_site: KeySite) -> list[Finding]:
    """Find nothing: most items have no condition of their own."""
    return []


@dataclass(frozen=True, kw_only=True)
class Item:
    """One item."""

    name: str
    """The name that an admin types."""
    summary: str
    """The work and the restarts of its rotation, in one line."""
    build_steps: Callable[[KeySite, Journal], list[SubStep]]
    """Builds the sub-steps; building touches nothing."""
    find_keys: Callable[[KeySite], Iterator[KeyState]]
    """Finds its keys in use."""
    check: Callable[[KeySite], list[Finding]] = check_nothing
    """Finds the reasons against a rotation of this item alone."""
    replaces_control_planes: bool = False
    asks_each_node: bool = False
    """Whether each kubelet is asked, through a forward to its node."""
    can_drop_now: bool = False
    """Whether an old key may be dropped early (`--drop-now`)."""
    rounds: tuple[str, ...]
    """Beginnings of the sub-steps' names: the rounds after which another key is in use, in their order.

    The end-to-end tests kill the rotation in each of them. Sub-steps after a wait of a year are not among them.
    """

    @property
    def operation(self) -> Operation:
        """The operation that rotates it."""
        return Operation(VERB, self.name)
