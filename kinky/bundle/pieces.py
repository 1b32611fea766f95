"""A piece of a bundle: a file, what it holds, and how its content is fetched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One file of a bundle."""

    file: str
    """Its path inside the bundle."""
    holds: str
    """Its content, in a few words."""
    fetch: Callable[[], str]
    """Returns the content; raises KinkyError or OSError, and then the bundle says why the file is missing."""
