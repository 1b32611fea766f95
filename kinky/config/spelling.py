"""Checks a text part by part, and reports the first rule that it breaks.

A `Fault` is the rest of a sentence about the value, such as `the path must be in lower case: "O" at place 9`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

Fault = str
Faults = Iterator[Fault]
"""Faults of one text in the order of their places; only the first is reported."""

_RANGES: Final = {"a-z": "lower-case letter", "A-Z": "capital letter", "0-9": "digit"}
_NAMED: Final = {" ": "a space", "\t": "a tab", "\n": "a line break", "\r": "a carriage return"}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a text: its allowed characters, also at its ends, and its length."""

    name: str = ""
    """Its name in messages; empty for the whole text."""
    ranges: str
    """Ranges of characters as in a regular expression, such as a-z0-9."""
    signs: str = ""
    """Other characters that may stand inside."""
    first: str = ""
    """Ranges and signs of its first character, if they are other than `ranges`."""
    edge: str = ""
    """Signs that may stand at its last character, and at its first unless `first` says otherwise."""
    longest: int = 0
    """Limit of its length; 0 means no limit."""

    def check(self, text: str, *, at: int = 0) -> Faults:
        """Yield the faults of this part of a value; `at` is its place there, counted from 0."""
        subject = f"{self.name} " if self.name else ""
        if not text:
            yield f"{subject}is missing" if self.name else "must not be empty"
            return
        allowed = self.ranges + self.signs + self.edge
        for place, letter in enumerate(text, at + 1):
            if not _is_in(letter, allowed):
                if letter != letter.lower() and _is_in(letter.lower(), allowed):
                    yield f"{subject}must be in lower case: {show(letter)} at place {place}"
                else:
                    yield f"{subject}has {show(letter)} at place {place}; allowed are {_list(allowed)}"
        starts, ends = self.first or self.ranges + self.edge, self.ranges + self.edge
        if not _is_in(text[0], starts):
            yield f"{subject}must begin with {_list(starts, one=True)}, begins with {show(text[0])}"
        if not _is_in(text[-1], ends):
            yield f"{subject}must end with {_list(ends, one=True)}, ends with {show(text[-1])}"
        if self.longest and len(text) > self.longest:
            yield f"{subject}must have at most {self.longest} characters, has {len(text)}"


def check_list(text: str, separator: str, part: Part, *, whole: str = "", at: int = 0) -> Faults:
    """Yield the faults of a list of parts, such as the labels of a DNS name; `whole` is its name in a message."""
    subject, sign = f"{whole} " if whole else "", show(separator)
    if not text:
        yield f"{subject}is missing" if whole else "must not be empty"
        return
    if text.startswith(separator):
        yield f"{subject}must not begin with {sign}"
    if text.endswith(separator):
        yield f"{subject}must not end with {sign}"
    if (double := text.find(separator * 2)) >= 0:
        yield f"{subject}has {sign} twice in a row at place {at + double + 1}"
    for piece in text.split(separator):
        yield from part.check(piece, at=at)
        at += len(piece) + 1


def first_of(*faults: Faults) -> Fault | None:
    """Return the first fault of several checks; None without a fault."""
    return next(chain.from_iterable(faults), None)


def spelled(part: Part) -> Callable[[str], Fault | None]:
    """Return the check of a text with only one part."""
    return lambda text: first_of(part.check(text))


def show(letter: str) -> str:
    """Return a character in visible form: in quotes, with its number if it looks like another one."""
    if letter in _NAMED:
        return _NAMED[letter]
    if not letter.isprintable():
        return f"the control character U+{ord(letter):04X}"
    return f'"{letter}"' if letter.isascii() else f'"{letter}" ({unicodedata.name(letter, "?")}, U+{ord(letter):04X})'


def _is_in(letter: str, allowed: str) -> bool:
    ranges, signs = _split(allowed)
    return letter in signs or any(re.fullmatch(f"[{found}]", letter) for found in ranges)


def _split(allowed: str) -> tuple[list[str], str]:
    """Return the ranges and the single signs that are allowed."""
    ranges = [found for found in _RANGES if found in allowed]
    for found in ranges:
        allowed = allowed.replace(found, "")
    return ranges, allowed


def _list(allowed: str, *, one: bool = False) -> str:
    """Return characters in words, such as `lower-case letters, digits and "-"`."""
    ranges, signs = _split(allowed)
    words = [_RANGES[found] for found in ranges]
    if _RANGES["a-z"] in words and _RANGES["A-Z"] in words:
        words = ["letter", *words[2:]]
    words = [f"a {word}" if one else f"{word}s" for word in words] + [f'"{sign}"' for sign in signs]
    *before, last = words
    return f"{', '.join(before)} {'or' if one else 'and'} {last}" if before else last
