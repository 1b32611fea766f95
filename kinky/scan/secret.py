"""`KnownSecret`: a value that the scanner looks for, and that nothing can print."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NoReturn

from kinky import names

MINIMUM_BYTES: Final = 8
"""Shorter values turn up by chance, and a scanner that cries wolf is switched off."""


class SecretClass(StrEnum):
    """The kind of a secret value; it decides the places where the value is allowed."""

    ENCRYPTION_KEY = "encryption key"
    PRIVATE_KEY = "private key"
    STORE_VALUE = "store value"
    TOKEN = "token"  # noqa: S105 - the name of a class
    OTHER_VALUE = "other Secret value"
    STORE_TOKEN = "store's token"  # noqa: S105 - the name of a class
    """The token that reads a store on the host; in the clear nowhere but in memory."""
    AWAY_VALUE = "store value away from the host"
    """A value of a store that is inside, or on a server: nowhere else."""
    ADMIN_TOKEN = "admin token"  # noqa: S105 - the name of a class
    """The admin's own, for the store's server."""
    PASSPHRASE = "passphrase"  # noqa: S105 - the name of a class
    ADMIN_KEY = "admin key"
    HOST_KEY = "embedded host key"
    MARKER = "marker"
    """No secret: public bytes that must be found, because they show that an artefact was really read."""


class KnownSecret:
    """A secret with its class and name; the value comes out of `reveal` only.

    Not a dataclass: `dataclasses.asdict` and `vars` would hand out the value.
    """

    __slots__ = ("_value", "fingerprint", "name", "secret_class")
    _value: bytes
    fingerprint: str
    name: str
    secret_class: SecretClass

    def __init__(self, secret_class: SecretClass, name: str, value: bytes) -> None:
        """Keep the value, a text without the white space around it; raises ValueError when it is too short to find."""
        value = _trim(value)
        if len(value) < MINIMUM_BYTES:
            raise ValueError(f"{secret_class} {name}: {len(value)} bytes, fewer than {MINIMUM_BYTES}")
        fields = {
            "_value": value,
            "fingerprint": names.short_fingerprint(value),
            "name": name,
            "secret_class": secret_class,
        }
        for field, content in fields.items():
            object.__setattr__(self, field, content)

    def reveal(self) -> bytes:
        """Return the value; the caller must not print, keep or pass it on."""
        return self._value

    def __str__(self) -> str:
        return f"{self.secret_class} {self.name} (sha256 {self.fingerprint})"

    def __repr__(self) -> str:
        return f"<{self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KnownSecret) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a KnownSecret does not change: {name}")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a KnownSecret cannot be copied, pickled or sent")

    def _identity(self) -> tuple[str, str, str]:
        return self.secret_class, self.name, self.fingerprint


def _trim(value: bytes) -> bytes:
    """Return a text without the white space around it, and bytes that are no text as they are: each one counts."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return value
    return value.strip()
