"""What can be wrong with a store, switched on and off while the server runs.

A fault is on while a file with its name is in the server's folder of faults. So a test in the same process, one in
another process and one outside the server's network namespace all switch it in the same way, without a port.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path


class Fault(StrEnum):
    """The faults; those of values and tokens do not concern the root token, so that an operator sees the truth."""

    SEALED = "sealed"
    """The server runs and answers 503."""
    UNREACHABLE = "unreachable"
    """Each connection is closed without an answer."""
    SLOW = "slow"
    """Each answer comes after 30 seconds."""
    FORBIDDEN = "forbidden"
    """Every call that needs a token is answered with 403, whoever calls."""
    ANY_KEY = "any-key"
    """A read of an absent value gets the one that was written last."""
    STALE = "stale"
    """Each value stays as it was when it was first read."""
    WIDE_POLICY = "wide-policy"
    """Each token may read and list everything."""
    EXPIRED_TOKEN = "expired-token"
    """Tokens have ended, new ones too."""
    WRONG_KEY = "wrong-key"
    """Logins are checked with another public key than the one that was configured."""


class Faults:
    """The folder of faults."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has(self, fault: Fault) -> bool:
        """Tell whether the fault is on."""
        return (self.folder / fault.value).exists()

    def switch_on(self, fault: Fault) -> None:
        """Let the next request meet the fault."""
        (self.folder / fault.value).touch()

    def switch_off(self, fault: Fault) -> None:
        """Let the next request be served as usual."""
        (self.folder / fault.value).unlink(missing_ok=True)

    @contextlib.contextmanager
    def during(self, fault: Fault) -> Iterator[None]:
        """Have the fault on for a while."""
        self.switch_on(fault)
        try:
            yield
        finally:
            self.switch_off(fault)
