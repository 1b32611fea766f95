"""The scan itself: each artefact, and everything inside of it, through each search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kinky.scan.artefact import Artefact
from kinky.scan.search import Search
from kinky.scan.secret import KnownSecret
from kinky.scan.unfold import Unfolded


@dataclass
class Findings:
    """What was looked at and what was found, over one or several scans."""

    artefacts: int = 0
    bytes: int = 0
    hits: list[tuple[Artefact, KnownSecret]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    """What could not be looked at, or not to its end, and why."""

    def scan(self, artefacts: Iterable[Artefact], searches: Sequence[Search]) -> None:
        """Look at the artefacts; one that is gone meanwhile is none."""
        for artefact in artefacts:
            try:
                found = self._search(artefact, searches)
            except (FileNotFoundError, ProcessLookupError):
                continue
            except OSError as error:
                self.unread.append(f"{artefact.kind} {artefact.name}: {error.strerror}")
                continue
            self.artefacts += 1
            self.hits += [(artefact, secret) for secret in sorted(found, key=str)]

    def _search(self, artefact: Artefact, searches: Sequence[Search]) -> set[KnownSecret]:
        found: set[KnownSecret] = set()
        cut = False
        for piece in artefact.read():
            self.bytes += len(piece)
            unfolded = Unfolded(piece)
            for content in unfolded:
                for search in searches:
                    found |= search(content)
            cut |= unfolded.cut
        if cut:
            self.unread.append(f"{artefact.kind} {artefact.name}: what is packed in it is too large")
        return found
