"""`Artefact`: one thing to look at, such as a file, a process's environment or an object of the host's API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kinky.scan.kind import Kind


@dataclass(frozen=True)
class Artefact:
    """Its kind, and the way to read its content; nothing is read before it is asked for."""

    kind: Kind
    name: str
    read: Callable[[], Iterable[bytes]]
    """Yields the content in pieces that overlap, so that what lies across a border is whole in one of them."""
    private: bool = True
    """Whether only its owner can read it."""
    unfold: bool = True
    """Whether what is packed inside of it is looked at too; that would take too long for the disks of VMs."""

    @classmethod
    def hold(cls, kind: Kind, name: str, content: bytes) -> Artefact:
        """Return an artefact whose content is in memory already."""
        return cls(kind, name, lambda: (content,))
