"""`kinky bundle`: a folder with all that explains a failure, in which no secret is."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kinky.cli import options
from kinky.cli.looking import find_way, judge_now, open_way
from kinky.errors import ConfigError
from kinky.given_paths import resolve_given
from kinky.progress import note, phase
from kinky.stacks.file import StackFile, read_stack_file

if TYPE_CHECKING:
    from kinky.bundle.pieces import Piece
    from kinky.cli.looking import Look
    from kinky.scan.secret import KnownSecret
    from kinky.status.target import Target


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky bundle`."""
    parser = options.command_parser(
        command,
        description="Write a folder for whoever looks into a failure: status, why, timeline, objects, events, logs and "
        "consoles of both clusters. It is searched for the stack's secrets first; with one in it, nothing is written.",
    )
    parser.add_argument("folder", type=resolve_given, metavar="DIR", help="the folder to write; not there yet")
    options.add_stack(parser)
    parser.add_argument(
        "--add",
        action="append",
        default=[],
        type=resolve_given,
        metavar="FILE",
        help="also put this file into it, such as what kinky up said (repeatable)",
    )
    options.set_run(parser, run_bundle)
    return parser


def run_bundle(arguments: argparse.Namespace) -> int:
    """Gather, search and write; a piece that cannot be fetched is listed as missing."""
    from kinky.bundle.write import check_place, gather, publish
    from kinky.cli.scan_secrets import read_secrets

    check_place(arguments.folder)
    if absent := [path for path in arguments.add if not path.is_file()]:
        raise ConfigError(f"--add: no such file: {absent[0]}", hint="name a file that is there")
    stack_file = read_stack_file(arguments.stack)
    target = open_way(stack_file, find_way(stack_file))
    with phase("reading the secrets to look for"):
        # First: without them nothing may leave, and a host that is away says so here.
        secrets, unknown = read_secrets(stack_file, target.reach)
    with phase("gathering"):
        gathered = gather(list_pieces(stack_file, target, arguments.add))

    def check(folder: Path) -> list[str]:
        return find_secrets(folder, secrets)

    head = [
        f"# Bundle of inner cluster {stack_file.cluster} (stack {stack_file.stack})",
        f"Made at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}.",
        f"No file holds one of the {len(secrets)} secrets that were looked for.",
        *(f"Not looked for: {text}" for text in unknown),
    ]
    publish(arguments.folder, gathered, head=head, check=check)
    for piece, why in gathered.missing.items():
        note(f"missing: {piece.file}: {why.splitlines()[0]}")
    note(f"{len(gathered.texts)} files: {arguments.folder}")
    return 0


def list_pieces(stack_file: StackFile, target: Target, added: Sequence[Path]) -> Iterator[Piece]:
    """Yield all pieces; but for the names of pods, nothing is fetched yet."""
    from kinky.bundle.host import list_host_pieces
    from kinky.bundle.inside import list_inner_pieces
    from kinky.bundle.pieces import Piece
    from kinky.cli.status import build_json
    from kinky.cli.why import describe, explain_nodes
    from kinky.report.page import render
    from kinky.report.story import fetch_story
    from kinky.status.judgement import find_exit_code
    from kinky.topology.nodes import build_nodes

    @cache
    def look() -> Look:
        return judge_now(stack_file)

    def show_status() -> str:
        seen = look()
        return options.to_json(build_json(stack_file, seen.verdicts, seen.at, find_exit_code(seen.verdicts)))

    def show_report() -> str:
        seen = look()
        return render(seen.verdicts, fetch_story(seen.target), stack=stack_file.stack, now=seen.at)

    def show_why() -> str:
        return "\n".join(describe(explain_nodes(target, [node.name for node in build_nodes(stack_file.config)])))

    yield Piece(file="why.txt", holds="why nodes are not up: one sentence each, and the next step", fetch=show_why)
    yield Piece(file="status.json", holds="the judgement from outside", fetch=show_status)
    yield Piece(file="report.html", holds="the same as a page, with the timeline of the last boot", fetch=show_report)
    for path in added:
        yield Piece(file=f"added/{path.name}", holds="a file that was given with --add", fetch=_reader(path))
    yield from list_host_pieces(target)
    yield from list_inner_pieces(target)


def find_secrets(folder: Path, secrets: Sequence[KnownSecret]) -> list[str]:
    """Return where a secret of the stack, or any private key, is below a folder."""
    from kinky.scan.files import find_files
    from kinky.scan.kind import Kind
    from kinky.scan.pem import find_private_keys
    from kinky.scan.scanner import Findings
    from kinky.scan.search import Needles

    findings = Findings()
    findings.scan(find_files(Kind.PATH, folder, base=folder), [Needles(secrets).search, find_private_keys])
    unread = [f"cannot be searched: {text}" for text in findings.unread]
    return [*unread, *(f"{artefact.name}: {secret}" for artefact, secret in findings.hits)]


def _reader(path: Path) -> Callable[[], str]:
    return lambda: path.read_text(encoding="utf-8", errors="replace")
