"""The scan itself: each artefact, and everything inside of it, through each search."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kinky.scan.artefact import Artefact
from kinky.scan.kind import Kind
from kinky.scan.search import Search
from kinky.scan.secret import KnownSecret
from kinky.scan.unfold import Unfolded


@dataclass
class Tally:
    """How much of one kind was looked at."""

    artefacts: int = 0
    bytes: int = 0
    seconds: float = 0.0
    """With the time that it took to find the artefacts."""


@dataclass
class Findings:
    """The searched artefacts and the hits, over one or several scans."""

    tallies: defaultdict[Kind, Tally] = field(default_factory=lambda: defaultdict(Tally))
    hits: list[tuple[Artefact, KnownSecret]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    """Artefacts that could not be searched, or not to their end, and the reasons."""

    @property
    def artefacts(self) -> int:
        """How many artefacts were looked at."""
        return sum(tally.artefacts for tally in self.tallies.values())

    @property
    def bytes(self) -> int:
        """How many bytes were looked at, without what was packed in them."""
        return sum(tally.bytes for tally in self.tallies.values())

    def scan(self, artefacts: Iterable[Artefact], searches: Sequence[Search]) -> None:
        """Search the artefacts; one that has disappeared meanwhile does not count."""
        since = time.monotonic()
        for artefact in artefacts:
            tally = self.tallies[artefact.kind]
            try:
                found = self._search(artefact, searches, tally)
            except (FileNotFoundError, ProcessLookupError):
                continue
            except OSError as error:
                self.unread.append(f"{artefact.kind} {artefact.name}: {error.strerror}")
                continue
            finally:
                until = time.monotonic()
                tally.seconds += until - since
                since = until
            tally.artefacts += 1
            self.hits += [(artefact, secret) for secret in sorted(found, key=str)]

    def _search(self, artefact: Artefact, searches: Sequence[Search], tally: Tally) -> set[KnownSecret]:
        found: set[KnownSecret] = set()
        cut = False
        for piece in artefact.read():
            tally.bytes += len(piece)
            unfolded = Unfolded(piece)
            for content in unfolded if artefact.unfold else (piece,):
                for search in searches:
                    found |= search(content)
            cut |= unfolded.cut
        if cut:
            self.unread.append(f"{artefact.kind} {artefact.name}: what is packed in it is too large")
        return found
