"""`kinky scan`: where the secrets of a stack are, and that they are nowhere else."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kinky import paths
from kinky.cli import options
from kinky.cli.passphrase import FILE
from kinky.errors import KinkyError
from kinky.progress import phase
from kinky.scan import expected
from kinky.scan.artefact import Artefact
from kinky.scan.files import find_files, find_processes
from kinky.scan.known import read_host_secrets, read_local_secrets
from kinky.scan.pem import find_private_keys
from kinky.scan.report import Report, judge
from kinky.scan.repository import find_objects, find_staged, find_work_tree
from kinky.scan.scanner import Findings
from kinky.scan.search import Needles
from kinky.scan.secret import KnownSecret

Source = tuple[str, Iterable[Artefact]]


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky scan`."""
    parser = options.command_parser(
        command,
        description="Look for every known secret of a stack in every artefact: Pulumi's state, git, processes, logs "
        "and objects of the host, the embedded host's files. Fails when one is where it may not be, or is not found "
        "where it must be. Prints classes, names and fingerprints, never a value.",
    )
    options.add_stack(parser)
    options.add_json(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--staged",
        action="store_true",
        help="look only at what the next commit holds, for secrets in local files and any private key; a commit hook",
    )
    what.add_argument(
        "paths", nargs="*", default=[], metavar="PATH", help="look at this file, folder or disk image too"
    )
    options.set_run(parser, run_scan)
    return parser


def run_scan(arguments: argparse.Namespace) -> int:
    """Scan, print the report, and tell by the exit code whether all is well."""
    report = scan_staged() if arguments.staged else scan_stack(arguments.stack, list(map(Path, arguments.paths)))
    print(options.to_json(report.to_json()) if arguments.json else "\n".join(report.to_lines()))
    return 0 if report.passed else 1


def scan_stack(stack: str, extra: list[Path]) -> Report:
    """Look for all secrets of the stack in everything that is at hand; raises KinkyError when the host is not."""
    from kinky.cli.stack_file import read_stack_file
    from kinky.kube.host import HostApi
    from kinky.program import find_host
    from kinky.scan import host

    for path in extra:
        if not path.exists():
            raise KinkyError(f"no such file or folder: {path}", hint="name what is there, or nothing")
    api = HostApi.connect(find_host(read_stack_file(stack).config))
    with phase("reading the secrets to look for"):
        secrets = read_host_secrets(api) + _read_local()
    sources: list[Source] = [
        ("objects of the host", host.find_objects(api)),
        ("logs of the host", host.find_logs(api)),
        *_local_sources(),
        *((str(path), find_files("path", path)) for path in extra),
    ]
    return _scan(sources, secrets)


def scan_staged() -> Report:
    """Look at what the next commit of the repository around the current folder holds; needs no cluster."""
    secrets = _read_local()
    findings = Findings()
    findings.scan(find_staged(Path.cwd()), [Needles(secrets).search, find_private_keys])
    return judge(findings, secrets, places=())


def _scan(sources: Iterable[Source], secrets: list[KnownSecret]) -> Report:
    findings, needles = Findings(), Needles(secrets)
    for title, artefacts in sources:
        with phase(f"scanning {title}"):
            findings.scan(artefacts, [needles.search])
    return judge(findings, secrets, expected.PLACES)


def _local_sources() -> Iterator[Source]:
    """Yield what KinKy, Pulumi and git keep on this machine, and what runs on it."""
    state, embedded = paths.state_dir(), paths.host_dir()
    # What containerd keeps are unpacked images, gigabytes that were public before any secret was made.
    skip = [embedded / "containerd"]
    for kind, folder in (
        (expected.STATE, _state_backend()),
        (expected.PULUMI_HOME, state / "pulumi-home"),
        (expected.CLUSTER_FOLDER, state / "clusters"),
        (expected.EMBEDDED_HOST, embedded),
    ):
        base = state if folder.is_relative_to(state) else None
        yield kind, find_files(kind, folder, base=base, skip=skip)
    for file in _passphrases():
        yield expected.PASSPHRASE_FILE, find_files(expected.PASSPHRASE_FILE, file)
    yield "processes", find_processes()
    yield from _find_git()


def _find_git() -> Iterator[Source]:
    """Yield the checkout as git has it, if it does."""
    root = paths.project_root()
    if (root / ".git").exists():
        yield "git work tree", find_work_tree(root)
        yield "git objects", find_objects(root)


def _read_local() -> list[KnownSecret]:
    from kinky.embedded.layout import default_layout

    return read_local_secrets(passphrases=_passphrases(), host_keys=default_layout().pki)


def _passphrases() -> set[Path]:
    """Return the passphrase's own file and the one that the operator named."""
    named = os.environ.get(FILE)
    return {paths.passphrase_file(), *([Path(named)] if named else [])}


def _state_backend() -> Path:
    """Return the folder of Pulumi's state: the operator's, if it is one, else our own."""
    named = os.environ.get("PULUMI_BACKEND_URL", "")
    return (
        Path(named.removeprefix("file://")).expanduser() if named.startswith("file://") else paths.pulumi_backend_dir()
    )
