"""One question and its answer in DNS's own form (RFC 1035), as far as an address of a name needs it."""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

TYPE_A: Final = 1
TYPE_AAAA: Final = 28
_CLASS_IN: Final = 1
_RECURSION: Final = 0x0100
_HEADER: Final = struct.Struct("!HHHHHH")
_RECORD: Final = struct.Struct("!HHIH")
_POINTER: Final = 0xC0


def build_question(name: str, *, number: int, kind: int = TYPE_A) -> bytes:
    """Build a question for the addresses of a name."""
    labels = b"".join(bytes([len(part)]) + part.encode("ascii") for part in name.rstrip(".").split("."))
    return _HEADER.pack(number, _RECURSION, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, _CLASS_IN)


def parse_addresses(message: bytes, *, number: int) -> list[str]:
    """Return the addresses of an answer, none for a name that is not known.

    Raises:
        ValueError: It is not an answer to the question of this number.
    """
    try:
        seen, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
        if seen != number or not flags & 0x8000:
            raise ValueError("not an answer to this question")
        place = _HEADER.size
        for _ in range(questions):
            place = _skip_name(message, place) + 4
        found = []
        for _ in range(answers):
            place = _skip_name(message, place)
            kind, _, _, length = _RECORD.unpack_from(message, place)
            place += _RECORD.size
            if kind in (TYPE_A, TYPE_AAAA):
                found.append(str(ipaddress.ip_address(message[place : place + length])))
            place += length
    except (struct.error, IndexError):
        raise ValueError("it is cut off") from None
    return found


def _skip_name(message: bytes, place: int) -> int:
    while message[place]:
        if message[place] & _POINTER == _POINTER:
            return place + 2
        place += message[place] + 1
    return place + 1
