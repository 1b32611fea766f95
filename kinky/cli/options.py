"""Options that several commands share, so that they are spelled and explained once."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from kinky.findings import EXIT_USAGE


class Parser(argparse.ArgumentParser):
    """A parser whose exit code for wrong usage is none that a finding has."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message to standard error, and exit."""
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message}\n")


def command_parser(command: str, *, description: str) -> argparse.ArgumentParser:
    """Return the empty parser of `kinky <command>`."""
    return Parser(prog=f"kinky {command}", description=description, allow_abbrev=False)


def add_stack(parser: argparse.ArgumentParser) -> None:
    """Add --stack; PULUMI_STACK gives its default, and without it `read_stack_file` takes the only stack."""
    action = parser.add_argument(
        "--stack",
        "-s",
        default=os.environ.get("PULUMI_STACK") or None,
        help="stack name, which is the middle part of stacks/Pulumi.<stack>.yaml "
        "(default: PULUMI_STACK, then the only stack that has a file)",
    )
    action.completer = _complete_stacks  # type: ignore[attr-defined] # where argcomplete looks for it


def _complete_stacks(**_: object) -> list[str]:
    from kinky.stacks.file import list_stacks

    return list_stacks()


def add_release(parser: argparse.ArgumentParser, *, what: str) -> None:
    """Add --release, a name for `releases.find_release`."""
    parser.add_argument("--release", metavar="NAME", help=f"{what}, such as v1.35 (default: the default release)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print JSON on standard output")


def set_run(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    """Say which function does the work."""
    parser.set_defaults(run=run)


def to_json(value: object) -> str:
    """Return JSON as every command prints it: indented, keys in the order given."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def to_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns; the last column is not padded."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    )
