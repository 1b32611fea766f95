"""`kinky scan`: where the secrets of a stack are, and that they are nowhere else."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from kinky.cli import options
from kinky.cli.scan_secrets import find_passphrase, read_secrets
from kinky.cli.scan_sources import build_staged_source, list_sources
from kinky.errors import ConfigError
from kinky.exit_codes import ExitCode
from kinky.given_paths import resolve_given
from kinky.progress import phase
from kinky.scan import expected
from kinky.scan.known import read_local
from kinky.scan.own import IsOwn, build_own
from kinky.scan.pem import find_private_keys
from kinky.scan.report import Report, judge
from kinky.scan.scanner import Findings
from kinky.scan.search import Needles
from kinky.scan.secret import KnownSecret
from kinky.scan.source import Source


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky scan`."""
    parser = options.command_parser(
        command,
        description="Look for every known secret of a stack in every artefact: Pulumi's state and what Pulumi prints, "
        "git, processes, logs and objects of the host, the embedded host's files, and there the raw disks of the VMs. "
        "Fails when a secret is in a wrong place, or when a secret of the stack is missing in its own place. Prints "
        "classes, names and fingerprints, never a value. --json counts artefacts, bytes, seconds and hits for each "
        "kind of artefact.",
    )
    options.add_stack(parser)
    options.add_json(
        parser,
        "secrets, kinds, expectedHits, unexpectedHits, missingHits, unread, and the counts artefacts, bytes, seconds",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--staged",
        action="store_true",
        help="look only at what the next commit holds, for secrets in local files and any private key; a commit hook",
    )
    what.add_argument(
        "paths",
        nargs="*",
        default=[],
        type=resolve_given,
        metavar="PATH",
        help="also look at this file, folder or disk image",
    )
    options.set_run(parser, run_scan, judges=True)
    return parser


def run_scan(arguments: argparse.Namespace) -> int:
    """Scan, print the report, and tell by the exit code whether all is well."""
    report = scan_staged() if arguments.staged else scan_stack(arguments.stack, arguments.paths)
    print(options.to_json(report.to_json()) if arguments.json else "\n".join(report.to_lines()))
    return ExitCode.DONE if report.passed else ExitCode.CRITICAL


def scan_stack(stack: str | None, extra: list[Path]) -> Report:
    """Look for all secrets of the stack in everything that is at hand; raises KinkyError when the host is not."""
    from kinky.stacks.file import read_stack_file
    from kinky.stacks.inner import find_reach

    for path in extra:
        if not path.exists():
            raise ConfigError(f"no such file or folder: {path}", hint="name what is there, or nothing")
    stack_file = read_stack_file(stack)
    reach = find_reach(stack_file)
    api = reach.host()
    with phase("reading the secrets to look for"):
        secrets, unknown = read_secrets(stack_file, reach)
        is_own = build_own(
            api, stack_file.cluster, embedded=stack_file.embedded, passphrase=find_passphrase(stack_file)
        )
    return scan_sources(list_sources(stack_file, api, extra), secrets, unknown=unknown, is_own=is_own)


def scan_staged() -> Report:
    """Look at what the next commit of the repository around the current folder holds; needs no cluster."""
    secrets = read_local()
    findings = Findings()
    findings.scan(build_staged_source(Path.cwd()).artefacts, [Needles(secrets).search, find_private_keys])
    return judge(findings, secrets, places=())


def scan_sources(
    sources: Iterable[Source],
    secrets: list[KnownSecret],
    *,
    unknown: Iterable[str] = (),
    is_own: IsOwn = lambda _: True,
) -> Report:
    """Look for the secrets in all sources, and judge by the allow-list and what the sources themselves expect.

    Args:
        unknown: Which secrets could not be read, and so are not looked for, and why.
        is_own: Whether a secret must be found; leaks of all secrets are reported.
    """
    findings, needles = Findings(unread=list(unknown)), Needles(secrets)
    places, markers = list(expected.PLACES), set[KnownSecret]()
    for source in sources:
        with phase(f"scanning {source.title}"):
            search = Needles([*secrets, *source.markers]) if source.markers else needles
            findings.scan(source.artefacts, [search.search])
        findings.unread += source.unread
        places += source.places
        markers.update(source.markers)
    return judge(findings, [*secrets, *markers], places, is_own=is_own)
