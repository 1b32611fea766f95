"""Private keys in PEM: where one stands in a text, and its content without the armour."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from kinky.scan.secret import KnownSecret, SecretClass

_BLOCK: Final = re.compile(
    # At least 64 characters of body: a text that only mentions the marker is no key. A line may end as in JSON.
    rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----((?:[A-Za-z0-9+/=\s]|\\[nr]){64,})-----END \1PRIVATE KEY-----"
)
_BREAK: Final = re.compile(rb"\\[nr]|\s")


def parse_private_keys(text: bytes) -> list[bytes]:
    """Return the private keys that stand in the text, each with its armour."""
    return [match[0] for match in _BLOCK.finditer(text)]


def parse_body(text: bytes) -> bytes:
    """Return the base64 body of the first private key on one line; empty without a key."""
    match = _BLOCK.search(text)
    return _BREAK.sub(b"", match[2]) if match else b""


def parse_content(text: bytes) -> bytes:
    """Return the decoded body (DER) of the first private key; empty without a key."""
    try:
        return base64.b64decode(parse_body(text))
    except binascii.Error:
        return b""


def find_private_keys(data: bytes) -> set[KnownSecret]:
    """Return any private key in the data, whoever made it; for what must hold none at all."""
    return {KnownSecret(SecretClass.PRIVATE_KEY, "in PEM, of unknown origin", key) for key in parse_private_keys(data)}
