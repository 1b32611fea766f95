"""Finding many patterns in many bytes, at some ten megabytes a second without leaving the standard library.

Any run of seven bytes holds a whole word of four bytes whose place is a multiple of four, whatever the run's own place.
So four words of each pattern are enough to notice it. The data is read as words, and a pattern is compared only at one
of its words. That costs the same for one pattern as for thousands, which neither a regular expression nor one search
for each pattern does.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import compress, count
from typing import Final

from kinky.scan.encodings import ENCODERS, Encoder
from kinky.scan.secret import KnownSecret

Search = Callable[[bytes], set[KnownSecret]]

_WORD: Final = 4
_SHORTEST: Final = 2 * _WORD - 1


class Needles:
    """All forms of some secrets, ready to be searched for."""

    def __init__(self, secrets: Iterable[KnownSecret], *, encoders: Mapping[str, Encoder] = ENCODERS) -> None:
        """Build the patterns; a form that is shorter than seven bytes, such as an empty one, is left out."""
        patterns: dict[bytes, set[KnownSecret]] = defaultdict(set)
        for secret in secrets:
            for encode in encoders.values():
                for pattern in encode(secret.reveal()):
                    if len(pattern) >= _SHORTEST:
                        patterns[pattern].add(secret)
        self._words: dict[int, list[tuple[bytes, int, set[KnownSecret]]]] = defaultdict(list)
        for pattern, owners in patterns.items():
            # From the middle: the first bytes of keys are alike, and a word that is common costs time.
            start = (len(pattern) - _SHORTEST) // 2
            for offset in range(start, start + _WORD):
                word = int.from_bytes(pattern[offset : offset + _WORD], sys.byteorder)
                self._words[word].append((pattern, offset, owners))

    def search(self, data: bytes) -> set[KnownSecret]:
        """Return the secrets that stand in the data in one of their forms."""
        words = memoryview(data)[: len(data) // _WORD * _WORD].cast("I")
        found: set[KnownSecret] = set()
        for number in compress(count(), map(self._words.__contains__, words)):
            for pattern, offset, owners in self._words[words[number]]:
                # A start before the first byte counts from the end, where fewer bytes are left than the pattern has.
                if data.startswith(pattern, number * _WORD - offset):
                    found |= owners
        return found
