"""`Source`: artefacts that are looked at together, with what is known of them before they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kinky.scan.artefact import Artefact
from kinky.scan.expected import Place
from kinky.scan.kind import Kind
from kinky.scan.secret import KnownSecret


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where artefacts come from."""

    title: str
    """Its title for people during a scan."""
    kinds: frozenset[Kind]
    """The kinds that its artefacts can have."""
    artefacts: Iterable[Artefact]
    markers: tuple[KnownSecret, ...] = ()
    """Public bytes that are looked for in these artefacts only, as a proof that they were really read."""
    places: tuple[Place, ...] = ()
    """The allowed and required secrets of these artefacts, besides the allow-list that holds for every stack."""
    unread: tuple[str, ...] = ()
    """Parts that are known beforehand as not searched, and the reasons."""
