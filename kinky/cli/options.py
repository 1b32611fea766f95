"""Parsers, sub-commands and shared options, so that each is built in one way and explained once."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from kinky.exit_codes import ExitCode

if TYPE_CHECKING:
    Actions = argparse._SubParsersAction[argparse.ArgumentParser]


class Parser(argparse.ArgumentParser):
    """A parser with an exit code of its own for wrong usage."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message to standard error, and exit."""
        self.print_usage(sys.stderr)
        self.exit(ExitCode.USAGE, f"{self.prog}: error: {message}\n")


def command_parser(command: str, *, description: str) -> argparse.ArgumentParser:
    """Return the empty parser of `kinky <command>`."""
    return Parser(prog=f"kinky {command}", description=description, allow_abbrev=False)


def add_actions(parser: argparse.ArgumentParser, *, metavar: str = "ACTION") -> Actions:
    """Let a command have sub-commands, one of which has to be given."""
    return parser.add_subparsers(required=True, metavar=metavar, dest=metavar.lower())


def add_action(actions: Actions, name: str, text: str) -> argparse.ArgumentParser:
    """Return the parser of a new sub-command; `text` is one sentence, without its full stop."""
    description = f"{text[0].upper()}{text[1:]}."
    return actions.add_parser(name, help=text, description=description, allow_abbrev=False)


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


def add_json(parser: argparse.ArgumentParser, shape: str) -> None:
    """Add --json.

    Args:
        shape: The form of the JSON, for the help and for docs/commands.md.
    """
    parser.add_argument("--json", action="store_true", help=f"print JSON on standard output: {shape}")
    parser.set_defaults(shape=shape)


def set_run(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], int],
    *,
    prints: str = "",
    judges: bool = False,
) -> None:
    """Say which function does the work.

    Args:
        run: Returns the exit code.
        prints: Data on standard output that programs read as it is, without --json.
        judges: Whether the exit code is a verdict: UNKNOWN, and not FAILED, after an error.
    """
    parser.set_defaults(run=run, prints=prints, judges=judges)


def to_json(value: object) -> str:
    """Return JSON as every command prints it: indented, keys in the order given."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def to_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns; the last column is not padded."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    )
