"""The real end of a stack under the scanner's eyes: its secrets are gone afterwards, so they are remembered before."""

from __future__ import annotations

from pathlib import Path

from kinky import paths
from kinky.cli.scan import scan_sources
from kinky.cli.scan_secrets import read_secrets
from kinky.program import find_host
from kinky.scan.files import find_files
from kinky.scan.kind import Kind
from kinky.scan.secret import SecretClass
from kinky.scan.source import Source
from tests.e2e.person import Person


def check_destroy(person: Person, log: Path) -> None:
    """Destroy the stack, and assert that what this printed and wrote holds none of the secrets that there were."""
    secrets, unknown = read_secrets(person.stack, find_host(person.stack.config))
    assert not unknown
    person.pulumi("destroy", "--yes", "--skip-preview", log=log)
    written = {
        Kind.STATE: paths.pulumi_backend_dir(),
        Kind.PULUMI_HOME: paths.pulumi_home(),
        Kind.PATH: log,
        Kind.PASSPHRASE_FILE: paths.passphrase_file(),
    }
    report = scan_sources([build_source(kind, place) for kind, place in written.items()], secrets)
    assert report.unexpected == ()
    assert all(report.tallies[kind].bytes for kind in written)
    # What is where it must be is found: this scan is not blind.
    assert {secret.secret_class for _, secret in report.expected} == {SecretClass.PASSPHRASE}


def build_source(kind: Kind, place: Path) -> Source:
    """Return the files of a folder, or one file, as artefacts of this kind."""
    return Source(title=f"{kind} after the end", kinds=frozenset({kind}), artefacts=find_files(kind, place))
