"""The admin's actions on every kind of secrets store, and the facts about a value."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kinky import names
from kinky.kube.inner import InnerApi
from kinky.retry import Pending

PROGRAM = "program"
FOREIGN = "somebody else"
MAKERS = (PROGRAM, names.ADMIN, FOREIGN)
"""The writer of a value: `up`, `kinky secrets`, or anything that is not KinKy."""


@dataclass(frozen=True, kw_only=True)
class StoredValue:
    """One name of the store: what is told about it, which is never the value."""

    name: str
    place: str
    made_by: str
    """One of MAKERS."""
    changed_at: datetime
    fingerprints: Mapping[str, str]
    """Key to the first digits of the value's SHA-256."""


class StoreServer(Protocol):
    """A server that a store has of its own, and that has to be told who may read."""

    def check(self) -> None:
        """Make sure that it can be used, by reading only; raises KinkyError."""

    def set_up(self, public_keys: Sequence[bytes]) -> None:
        """Tell it whose tokens to take (of whom these PEM texts are the public keys), and what they may read."""

    def tear_down(self) -> None:
        """Take away from it all that is the cluster's; never fails, and tells what is left."""

    def check_publishing(self) -> None:
        """Make sure that it can be told other public keys, without telling it any; raises KinkyError."""

    def publish_keys(self, public_keys: Sequence[bytes]) -> None:
        """Have it take tokens that one of these keys signed, and of no other."""


class Store(ABC):
    """One store; opening it sends nothing."""

    @property
    def server(self) -> StoreServer | None:
        """The server of its own that has to be told who may read; a store of Secrets has none."""
        return None

    @abstractmethod
    def describe(self, name: str) -> str:
        """Return where the value of this name is, for messages."""

    @abstractmethod
    def fetch(self, name: str) -> StoredValue | None:
        """Fetch what may be told of one value."""

    @abstractmethod
    def fetch_all(self) -> list[StoredValue]:
        """Fetch what may be told of all values, by name."""

    @abstractmethod
    def read(self, name: str) -> Mapping[str, bytes] | None:
        """Read one value (secret); None if it does not exist."""

    @abstractmethod
    def create(self, name: str, data: Mapping[str, bytes]) -> bool:
        """Write a value of the program's, unless there is one of that name; False when there is."""

    @abstractmethod
    def write(self, name: str, data: Mapping[str, bytes]) -> None:
        """Write a value of the program's over what was there."""

    @abstractmethod
    def put(self, name: str, key: str, value: bytes) -> None:
        """Write one key of an admin's value, beside its other keys, and let the inner cluster read it."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a value, and first the right to read it; it may be gone already."""

    def forget(self, name: str) -> None:
        """Remove a value of the program's when its stack goes; a store that goes as a whole has nothing to do."""
        self.delete(name)

    @abstractmethod
    def write_decoy(self, data: Mapping[str, bytes]) -> None:
        """Write what is beside the store, and which its reader must not get."""

    @abstractmethod
    def delete_decoy(self) -> None:
        """Remove it again."""

    @abstractmethod
    def check_credential(self, inner: InnerApi) -> str | Pending:
        """Look whether what External Secrets reads with expires in time; raises KinkyError when it does not."""


def build_value_fingerprint(values: Sequence[bytes]) -> str:
    """Build one SHA-256 over values; their lengths go in, so that no two lists give the same."""
    digest = hashlib.sha256()
    for value in values:
        digest.update(len(value).to_bytes(8, "big") + value)
    return digest.hexdigest()
