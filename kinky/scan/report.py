"""What a scan means: which hits are leaks, and which secrets were not found where they must be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kinky.scan.artefact import Artefact
from kinky.scan.expected import Place
from kinky.scan.scanner import Findings
from kinky.scan.secret import KnownSecret

Hit = tuple[Artefact, KnownSecret]


@dataclass(frozen=True)
class Report:
    """The outcome in numbers and names; no value is in it."""

    artefacts: int
    bytes: int
    secrets: int
    expected: tuple[Hit, ...]
    unexpected: tuple[Hit, ...]
    missing: tuple[KnownSecret, ...]
    unread: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether no secret is where it may not be, and each one is where it must be."""
        return not self.unexpected and not self.missing

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "artefacts": self.artefacts,
            "bytes": self.bytes,
            "secrets": self.secrets,
            "expectedHits": _group(self.expected),
            "unexpectedHits": [
                {"kind": artefact.kind, "name": artefact.name, **_describe(secret)}
                for artefact, secret in self.unexpected
            ],
            "missingHits": [_describe(secret) for secret in self.missing],
            "unread": list(self.unread),
        }

    def to_lines(self) -> list[str]:
        """Return the report for people: what is wrong comes last, where they look first."""
        groups = (f"expected: {group['class']} in {group['kind']}: {group['hits']}" for group in _group(self.expected))
        return [
            *groups,
            *(f"not looked at: {text}" for text in self.unread),
            *(f"unexpected: {secret} in {artefact.kind} {artefact.name}" for artefact, secret in self.unexpected),
            *(f"missing: {secret} was not found where it must be: the scanner is blind" for secret in self.missing),
            f"{self.artefacts} artefacts, {self.bytes} bytes, {self.secrets} secrets: "
            f"{len(self.unexpected)} unexpected hits, {len(self.missing)} missing hits",
        ]


def judge(findings: Findings, secrets: Iterable[KnownSecret], places: Sequence[Place]) -> Report:
    """Compare what was found with where it may be and must be."""
    known = sorted(set(secrets), key=str)
    allowed = [(hit, [place for place in places if place.covers(hit[0], hit[1].secret_class)]) for hit in findings.hits]
    at_home = {hit[1] for hit, found in allowed if any(place.must_hit for place in found)}
    with_home = {place.secret_class for place in places if place.must_hit}
    return Report(
        artefacts=findings.artefacts,
        bytes=findings.bytes,
        secrets=len(known),
        expected=tuple(hit for hit, found in allowed if found),
        unexpected=tuple(hit for hit, found in allowed if not found),
        missing=tuple(secret for secret in known if secret.secret_class in with_home and secret not in at_home),
        unread=tuple(findings.unread),
    )


def _group(hits: Iterable[Hit]) -> list[dict[str, Any]]:
    """Count hits by kind of artefact and class of secret."""
    counted = Counter((artefact.kind, str(secret.secret_class)) for artefact, secret in hits)
    return [{"kind": kind, "class": name, "hits": number} for (kind, name), number in sorted(counted.items())]


def _describe(secret: KnownSecret) -> dict[str, str]:
    return {"class": str(secret.secret_class), "secret": secret.name, "sha256": secret.fingerprint}
