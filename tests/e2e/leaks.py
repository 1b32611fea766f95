"""`kinky scan` on a living stack, and the real end of one, before which its secrets are remembered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kinky import paths
from kinky.cli.scan import scan_sources
from kinky.cli.scan_secrets import read_secrets
from kinky.reach.host import find_host
from kinky.reach.reach import Reach
from kinky.scan.files import find_files
from kinky.scan.kind import Kind
from kinky.scan.secret import KnownSecret, SecretClass
from kinky.scan.source import Source
from tests.e2e.person import SCAN_SECONDS, VERBOSE, Person

FIGURES: list[str] = []
"""What each scan of this run has counted, for the summary."""


def check_scan(person: Person, *named: Path) -> dict[str, Any]:
    """Assert that no secret is where it may not be, also in these files, and none is missed; return the report."""
    asked = ("scan", "--json", "--stack", person.stack.stack, *map(str, named))
    report: dict[str, Any] = json.loads(person.kinky(*asked, limit_seconds=SCAN_SECONDS))
    keep_figures(person, report)
    assert report["unexpectedHits"] == report["missingHits"] == []
    return report


def keep_figures(person: Person, report: dict[str, Any]) -> None:
    """Remember for the summary what a scan has counted."""
    counts = f"{report['artefacts']} artefacts, {report['bytes']} bytes, {report['secrets']} secrets"
    slowest = sorted(report["kinds"].items(), key=lambda each: -each[1]["seconds"])[:4]
    took = ", ".join(f"{kind} {tally['seconds']:.0f} s" for kind, tally in slowest)
    FIGURES.append(f"scan of {person.stack.stack}: {counts}, {len(report['unexpectedHits'])} unexpected hits; {took}")


def read_all(person: Person) -> list[KnownSecret]:
    """Return all secrets that the stack has now."""
    secrets, unknown = read_secrets(person.stack, Reach(find_host(person.stack.config)))
    assert not unknown
    return secrets


def check_destroy(person: Person, first: list[KnownSecret], log: Path) -> None:
    """Destroy the stack, and assert that no secret of its last or first days is in what the end has written.

    Nor in what any command of the person's has printed, which lies beside this log.
    """
    secrets = [*first, *read_all(person)]
    person.pulumi("destroy", "--yes", "--skip-preview", *VERBOSE, log=log)
    written = {
        Kind.STATE: paths.pulumi_backend_dir(),
        Kind.PULUMI_HOME: paths.pulumi_home(),
        Kind.PATH: log.parent,
        Kind.PASSPHRASE_FILE: paths.passphrase_file(),
    }
    report = scan_sources([build_source(kind, place) for kind, place in written.items()], secrets)
    keep_figures(person, report.to_json())
    assert report.unexpected == ()
    assert all(report.tallies[kind].bytes for kind in written)
    # What is where it must be is found: this scan is not blind.
    assert {secret.secret_class for _, secret in report.expected} == {SecretClass.PASSPHRASE}


def build_source(kind: Kind, place: Path) -> Source:
    """Return the files of a folder, or one file, as artefacts of this kind."""
    return Source(title=f"{kind} after the end", kinds=frozenset({kind}), artefacts=find_files(kind, place))
