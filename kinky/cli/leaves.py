"""All commands with their sub-commands, as their parsers declare them, and the page docs/commands.md."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kinky.cli.main import COMMANDS, load_parser
from kinky.exit_codes import ExitCode

INTRODUCTION: Final = """\
# Commands
`kinky generate` writes this page from the parsers of the commands. `kinky COMMAND --help` tells the options.

Data goes to standard output; progress, notes and errors go to standard error.
An error says what failed, the details, and one hint.

## Exit codes
One table for all commands ([0060](decisions/0060-one-table-of-exit-codes.md)).

| Code | Meaning |
|---|---|
"""
COLUMNS: Final = """
## All commands
A command that *judges* has a verdict as exit code, 0 to 3. All others end with 0 or 1.
Each can end with 64, 130 and 141. `kinky lease hold` ends with the exit code of the command that it runs.

| Command | It will | Judges | Standard output |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Leaf:
    """One command that does something: it has no further sub-commands."""

    words: tuple[str, ...]
    """Its name, such as `gate` and `show`."""
    text: str
    """One sentence about it, without its full stop."""
    parser: argparse.ArgumentParser

    @property
    def shape(self) -> str:
        """The form of its --json; empty without this option."""
        return self.parser.get_default("shape") or ""

    @property
    def prints(self) -> str:
        """Its output for programs without --json; empty if nothing."""
        return self.parser.get_default("prints") or ""

    @property
    def judges(self) -> bool:
        """Whether its exit code is a verdict."""
        return bool(self.parser.get_default("judges"))


def list_leaves() -> Iterator[Leaf]:
    """Yield every command that does something, in the order of `kinky --help`."""
    for name, command in COMMANDS.items():
        yield from _walk((name,), command.help, load_parser(name))


def render_page() -> str:
    """Return docs/commands.md."""
    codes = (f"| {code.value} | {code.text} |" for code in ExitCode)
    rows = (
        f"| `{' '.join(leaf.words)}` | {_cell(leaf.text)} | {'yes' if leaf.judges else ''} | {_describe(leaf)} |"
        for leaf in list_leaves()
    )
    return INTRODUCTION + "\n".join(codes) + "\n" + COLUMNS + "\n".join(rows) + "\n"


def _walk(words: tuple[str, ...], text: str, parser: argparse.ArgumentParser) -> Iterator[Leaf]:
    actions = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not actions:
        yield Leaf(words, text, parser)
    for group in actions:
        helps = {each.dest: each.help or "" for each in group._choices_actions}
        for name, inner in group.choices.items():
            yield from _walk((*words, name), helps.get(name, ""), inner)


def _describe(leaf: Leaf) -> str:
    if leaf.shape:
        return f"text; `--json`: {_cell(leaf.shape)}"
    return _cell(leaf.prints)


def _cell(text: str) -> str:
    """Return text for a cell of the table; names of JSON stay readable where Markdown reads underscores."""
    return text.replace("|", "\\|").replace("_", "\\_")
