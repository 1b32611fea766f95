"""The forms in which a value may stand somewhere: one table, from the encoder's name to what it makes of a value.

Texts are searched as they are, so parts that depend on a value's neighbours are cut off. base64 shares its first and
last characters with them unless the value lies on its boundaries.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote_from_bytes

from kinky.scan import pem

Encoder = Callable[[bytes], list[bytes]]

_BITS: Final = 6
"""Bits in one character of base64; three bytes are four characters, so a value begins in one of three ways."""


def encode_base64(value: bytes) -> list[bytes]:
    """Return the value in base64 as it looks at each of the three alignments, without what its neighbours decide."""
    forms = []
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value)
        # The first whole character of the value, rounded up, to the last one, rounded down.
        forms.append(encoded[-(-8 * before // _BITS) : 8 * (before + len(value)) // _BITS])
    return forms


def encode_base64url(value: bytes) -> list[bytes]:
    """Return the same in the alphabet for URLs and file names."""
    return [form.translate(bytes.maketrans(b"+/", b"-_")) for form in encode_base64(value)]


def encode_base64_twice(value: bytes) -> list[bytes]:
    """Return base64 of base64: a Secret whose value was base64 already."""
    return [outer for inner in encode_base64(value) for outer in encode_base64(inner)]


def escape_json(value: bytes) -> list[bytes]:
    """Return the value inside a JSON string, as most writers put it, as Go does, and inside JSON inside JSON."""
    text = _as_text(value)
    forms = []
    for ascii_only in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        go = once.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
        forms += [form for each in (once, go) for form in (each, json.dumps(each)[1:-1])]
    return [form.encode() for form in forms]


def encode_utf16(value: bytes, order: str) -> list[bytes]:
    """Return the value in UTF-16 with this byte order (le or be)."""
    return [_as_text(value).encode(f"utf-16-{order}")]


def _as_text(value: bytes) -> str:
    """Return the value as text; a value that is not text has the empty form."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""


ENCODERS: Final[Mapping[str, Encoder]] = {
    "raw": lambda value: [value],
    "JSON": escape_json,
    "URL": lambda value: [quote_from_bytes(value, safe="").encode()],
    "hex": lambda value: [value.hex().encode()],
    "upper-case hex": lambda value: [value.hex().upper().encode()],
    "UTF-16 LE": lambda value: encode_utf16(value, "le"),
    "UTF-16 BE": lambda value: encode_utf16(value, "be"),
    "base64": encode_base64,
    "base64url": encode_base64url,
    "base64 of base64": encode_base64_twice,
    "content of PEM": lambda value: [pem.parse_content(value)],
    "PEM on one line": lambda value: [pem.parse_body(value)],
}
