"""Every command in README and docs exists: `kinky` with its options, and targets of make."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from kinky.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:\.venv/bin/)?(?:kinky|make) [^`]+)`")
PROSE = {"command"}
"""The word after `kinky` that no command is, such as in the tree of docs/architecture.md."""
CALL = re.compile(r"(?:^|[\s;&|(\"])(?:\S*/)?(kinky|make) ([^;&|)\"#\n]*)")
TARGETS = {*re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)}


@cache
def parser_of(command: str) -> argparse.ArgumentParser:
    parser = importlib.import_module(COMMANDS[command].module).build_parser(command)
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from options_of(inner)


def calls(page: Path) -> Iterator[tuple[str, list[str]]]:
    text = page.read_text()
    for piece in [*BLOCK.findall(text), *INLINE.findall(BLOCK.sub("", text))]:
        for program, rest in CALL.findall(piece):
            yield program, rest.split()


def fault(program: str, words: list[str]) -> str | None:
    """Return what is wrong with a call; placeholders in capitals stand for anything."""
    if not words or words[0].startswith(("-", "<")) or words[0].isupper():
        return None
    first = words[0].rstrip("`,:.")
    if program == "make":
        return None if first in TARGETS or "=" in first else f"no target {first}"
    if first in PROSE:
        return None
    if first not in COMMANDS:
        return f"no command {first}"
    # What follows two dashes is a command of somebody else.
    own = words[1 : words.index("--")] if "--" in words else words[1:]
    options = {*options_of(parser_of(first))}
    unknown = [word for word in own if word.startswith("--") and word.split("=")[0].rstrip("`,:.") not in options]
    return f"{first} has no {unknown[0]}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_exists(page: Path) -> None:
    faults = [
        f"{program} {' '.join(words)}: {wrong}" for program, words in calls(page) if (wrong := fault(program, words))
    ]
    assert not faults


def test_the_look_finds_what_is_wrong() -> None:
    assert fault("kinky", ["upp"]) == "no command upp"
    assert fault("kinky", ["up", "--stak", "dev"]) == "up has no --stak"
    assert fault("make", ["upp"]) == "no target upp"
    assert fault("kinky", ["lease", "hold", "--stack", "x", "--", "make", "--foo"]) is None
    assert sum(1 for page in PAGES for _ in calls(page)) > 100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_can_be_read_in_one_go(page: Path) -> None:
    assert len(page.read_text().splitlines()) <= (200 if page.name == "README.md" else 250)
