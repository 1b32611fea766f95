"""The meaning of a scan: which hits are leaks, and which secrets are missing from their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kinky.scan.artefact import Artefact
from kinky.scan.expected import SHARED, Place
from kinky.scan.kind import Kind
from kinky.scan.scanner import Findings, Tally
from kinky.scan.secret import KnownSecret, SecretClass

Hit = tuple[Artefact, KnownSecret]


@dataclass(frozen=True)
class Missing:
    """A secret that was not found where it must be."""

    secret: KnownSecret
    place: Place | None = None
    """None: in none of several places of which one is enough."""

    @property
    def where(self) -> str:
        """Where it was looked for, in words."""
        return f"in {self.place.kind} {self.place.name}" if self.place else "where it must be"


@dataclass(frozen=True)
class Report:
    """The outcome in numbers and names; no value is in it."""

    tallies: dict[Kind, Tally]
    secrets: int
    expected: tuple[Hit, ...]
    unexpected: tuple[Hit, ...]
    missing: tuple[Missing, ...]
    unread: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether no secret is in a forbidden place, and each one is in its place."""
        return not self.unexpected and not self.missing

    @property
    def totals(self) -> Tally:
        """How much was looked at over all kinds."""
        each = self.tallies.values()
        return Tally(
            sum(one.artefacts for one in each), sum(one.bytes for one in each), sum(one.seconds for one in each)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            **_count(self.totals),
            "secrets": self.secrets,
            "kinds": {
                str(kind): _count(tally) | self._count_hits(kind) for kind, tally in sorted(self.tallies.items())
            },
            "expectedHits": _group(self.expected),
            "unexpectedHits": [
                {"kind": artefact.kind, "name": artefact.name, **_describe(secret)}
                for artefact, secret in self.unexpected
            ],
            "missingHits": [
                _describe(each.secret) | ({"kind": each.place.kind, "name": each.place.name} if each.place else {})
                for each in self.missing
            ],
            "unread": list(self.unread),
        }

    def to_lines(self) -> list[str]:
        """Return the report for people: what is wrong comes last, where they look first."""
        groups = (f"expected: {group['class']} in {group['kind']}: {group['hits']}" for group in _group(self.expected))
        totals = self.totals
        return [
            *groups,
            *(f"not looked at: {text}" for text in self.unread),
            *(f"unexpected: {secret} in {artefact.kind} {artefact.name}" for artefact, secret in self.unexpected),
            *(f"missing: {each.secret} was not found {each.where}: {_BLIND}" for each in self.missing),
            f"{totals.artefacts} artefacts, {totals.bytes} bytes, {self.secrets} secrets, {totals.seconds:.0f} s: "
            f"{len(self.unexpected)} unexpected hits, {len(self.missing)} missing hits",
        ]

    def _count_hits(self, kind: Kind) -> dict[str, int]:
        return {
            "expectedHits": sum(artefact.kind is kind for artefact, _ in self.expected),
            "unexpectedHits": sum(artefact.kind is kind for artefact, _ in self.unexpected),
            "missingHits": sum(each.place is not None and each.place.kind is kind for each in self.missing),
        }


_BLIND = "the scanner is blind, or what should be there is not"


def judge(
    findings: Findings,
    secrets: Iterable[KnownSecret],
    places: Sequence[Place],
    *,
    is_own: Callable[[KnownSecret], bool] = lambda _: True,
) -> Report:
    """Compare each find with its allowed and required places; a marker is not a secret, so it is never a leak.

    Args:
        is_own: Whether a missing secret must exist at all; called after the scan.
    """
    known = sorted(set(secrets), key=str)
    allowed = [(hit, [place for place in places if place.covers(*hit)]) for hit in findings.hits]
    # A value that two Secrets hold is found in each under both names; each holds it as its own.
    held = {_identify(*hit) for hit, found in allowed if found and hit[1].secret_class in SHARED}
    judged = [(hit, bool(found) or _identify(*hit) in held) for hit, found in allowed]
    homeless = _miss_homes(allowed, known, places)
    return Report(
        tallies=dict(findings.tallies),
        secrets=sum(secret.secret_class is not SecretClass.MARKER for secret in known),
        expected=tuple(hit for hit, at_home in judged if at_home),
        unexpected=tuple(
            hit for hit, at_home in judged if not at_home and hit[1].secret_class is not SecretClass.MARKER
        ),
        missing=tuple(each for each in (*homeless, *_miss_places(allowed, known, places)) if is_own(each.secret)),
        unread=tuple(findings.unread),
    )


def _identify(artefact: Artefact, secret: KnownSecret) -> tuple[Artefact, SecretClass, str]:
    """Return what stays the same of a hit when its value has two names."""
    return artefact, secret.secret_class, secret.fingerprint


def _miss_homes(
    allowed: Iterable[tuple[Hit, list[Place]]], known: Iterable[KnownSecret], places: Iterable[Place]
) -> Iterator[Missing]:
    """Yield the secrets that were found in none of the places of which one must hold them."""
    homes = {place for place in places if place.must_hit and not place.itself}
    at_home = {hit[1] for hit, found in allowed if homes.intersection(found)}
    with_home = [secret for secret in known if any(place.expects(secret) for place in homes)]
    return (Missing(secret) for secret in with_home if secret not in at_home)


def _miss_places(
    allowed: Iterable[tuple[Hit, list[Place]]], known: Iterable[KnownSecret], places: Iterable[Place]
) -> Iterator[Missing]:
    """Yield the secrets that were not found in a place that must hold them itself."""
    seen = {(place, hit[1]) for hit, found in allowed for place in found}
    for place in places:
        if place.must_hit and place.itself:
            yield from (Missing(each, place) for each in known if place.expects(each) and (place, each) not in seen)


def _group(hits: Iterable[Hit]) -> list[dict[str, Any]]:
    """Count hits by kind of artefact and class of secret."""
    counted = Counter((artefact.kind, str(secret.secret_class)) for artefact, secret in hits)
    return [{"kind": kind, "class": name, "hits": number} for (kind, name), number in sorted(counted.items())]


def _count(tally: Tally) -> dict[str, Any]:
    return {"artefacts": tally.artefacts, "bytes": tally.bytes, "seconds": round(tally.seconds, 1)}


def _describe(secret: KnownSecret) -> dict[str, str]:
    return {"class": str(secret.secret_class), "secret": secret.name, "sha256": secret.fingerprint}
