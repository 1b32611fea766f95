"""`Accelerator`: the ground on which the guests of a host run; one value from the fit to each node's VM."""

from __future__ import annotations

from enum import StrEnum


class Accelerator(StrEnum):
    """How a guest's processors run."""

    KVM = "kvm"
    """The hardware's virtualisation."""
    EMULATION = "emulation"
    """QEMU translates each instruction: slow, and works everywhere."""
    CONTAINER = "container"
    """No virtual machine: the node image runs as a system container on the host's kernel."""
    UNKNOWN = "unknown"
    """The host does not tell."""

    @classmethod
    def parse(cls, text: str) -> Accelerator:
        """Return the accelerator of this name; UNKNOWN for any other text."""
        return cls(text) if text in set(cls) else cls.UNKNOWN
