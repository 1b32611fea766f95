"""The name of an operation: what the journal keeps it under, and how an admin calls it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One change of a living cluster that takes many sub-steps."""

    verb: str
    """The command of `kinky` that starts it and continues it."""
    item: str
    """The object of that command; two items of one verb are two operations."""

    @property
    def key(self) -> str:
        """Key in the journal's ConfigMap."""
        return f"{self.verb}.{self.item}"

    @property
    def command(self) -> str:
        """The command line that starts it and continues it."""
        return f"kinky {self.verb} {self.item}"

    @classmethod
    def parse(cls, key: str) -> Operation:
        """Parse a key; raises ValueError if it is not a key."""
        verb, dot, item = key.partition(".")
        if not (verb and dot and item):
            raise ValueError(f"{key!r} names no operation")
        return cls(verb, item)

    def __str__(self) -> str:
        """Return it for the middle of a sentence."""
        return f"{self.verb} {self.item}"
