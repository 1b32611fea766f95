"""The inner parts of data: compressed members and base64, and their own inner parts, four levels deep."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from typing import Final

DEPTH: Final = 4
"""Helm keeps a release as base64 of base64 of gzip of JSON with base64 in it; nothing was seen that goes deeper."""
LIMIT_BYTES: Final = 256 << 20
"""Limit of all members inside of one piece of data, so that a bomb costs seconds and not the machine."""
RUN_BYTES: Final = 24
"""The shortest base64 that is decoded; a secret in a shorter one is found by its patterns."""

_MEMBER: Final = re.compile(rb"\x1f\x8b\x08|PK\x03\x04|x[\x01\x5e\x9c\xda]")
_ZIP_HEADER_BYTES: Final = 30
_PIECE_BYTES: Final = 1 << 16
"""zlib copies what follows a member's end, so it is given a little at a time."""
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_IN_ALPHABET: Final = bytes(1 if byte in _ALPHABET else 0 for byte in range(256))
_RUN: Final = b"\1" * RUN_BYTES
_LINES: Final = re.compile(
    # Lines of whole groups of four, with an end that JSON may have escaped and an indentation; then the last line.
    rb"(?:(?:[A-Za-z0-9+/_-]{4})++(?:\\[nr]|[\r\n])++[ \t]*+)*+[A-Za-z0-9+/_-]*"
)
_BETWEEN: Final = re.compile(rb"\\[nr]|[\r\n \t]+")
_GZIP_IN_BASE64: Final = b"H4sI"


class Unfolded:
    """A piece of data and everything inside of it; `cut` tells after the iteration whether the limit was reached."""

    def __init__(self, data: bytes, *, limit_bytes: int = LIMIT_BYTES) -> None:
        """Keep the data and how many bytes its members may come to."""
        self._data = data
        self._left = limit_bytes
        self.cut = False

    def __iter__(self) -> Iterator[bytes]:
        return self._unfold(self._data, DEPTH)

    def _unfold(self, data: bytes, depth: int) -> Iterator[bytes]:
        yield data
        if depth == 0:
            return
        for match in _MEMBER.finditer(data):
            if content := self._inflate(data, match.start()):
                yield from self._unfold(content, depth - 1)
        # All at once, because a piece of its own for each of ten thousand short runs takes long.
        if decoded := b"\0".join(map(decode_base64, find_base64(data))):
            yield from self._unfold(decoded, depth - 1)

    def _inflate(self, data: bytes, start: int) -> bytes:
        """Return the content of the member that begins here, as far as it is sound; mostly empty: it is no member."""
        start, window = _find_body(data, start)
        view = memoryview(data)
        inflater = zlib.decompressobj(window)
        content = bytearray()
        try:
            while start < len(data) and not inflater.eof:
                if self._left <= 0:
                    self.cut = True
                    break
                packed = view[start : start + _PIECE_BYTES]
                piece = inflater.decompress(packed, self._left)
                start += len(packed) - len(inflater.unconsumed_tail)
                self._left -= len(piece)
                content += piece
        except zlib.error:
            pass
        return bytes(content)


def find_base64(data: bytes) -> Iterator[bytes]:
    """Yield each long run of base64 without its line breaks; a gzip member inside of one comes by itself too."""
    marked = data.translate(_IN_ALPHABET)
    end = 0
    while (start := marked.find(_RUN, end)) >= 0:
        # In JSON, the letter of an escaped line break looks like the first one of the run.
        start += data.startswith((b"\\n", b"\\r"), max(start - 1, 0))
        match = _LINES.match(data, start)
        end = match.end() if match else start + RUN_BYTES
        run = _BETWEEN.sub(b"", data[start:end])
        yield run
        inside = run.find(_GZIP_IN_BASE64)
        if inside > 0 and inside % 4:
            yield run[inside:]


def decode_base64(run: bytes) -> bytes:
    """Decode base64 of either alphabet, whose padding may be absent; a single last character says nothing."""
    return base64.b64decode(run[: len(run) - (len(run) % 4 == 1)] + b"==", altchars=b"-_")


def _find_body(data: bytes, start: int) -> tuple[int, int]:
    """Return where the compressed bytes of a member begin, and how zlib calls their format."""
    if data.startswith(b"PK", start):
        lengths = data[start + 26 : start + _ZIP_HEADER_BYTES]
        names = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        return start + _ZIP_HEADER_BYTES + names, -zlib.MAX_WBITS
    return start, zlib.MAX_WBITS + (16 if data.startswith(b"\x1f\x8b", start) else 0)
