"""Every command that does something: its sentence, its JSON, its exit codes, its place on the page."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import textwrap

import pytest

from kinky import paths
from kinky.cli import main
from kinky.cli.leaves import Leaf, list_leaves, render_page
from kinky.errors import ConfigError, HostError
from kinky.exit_codes import ExitCode

LEAVES = {" ".join(leaf.words): leaf for leaf in list_leaves()}
each_leaf = pytest.mark.parametrize("leaf", LEAVES.values(), ids=[*LEAVES])


def find_run(leaf: Leaf) -> str:
    """Return where the function that does the work can be replaced."""
    run = leaf.parser.get_default("run")
    return f"{run.__module__}.{run.__name__}"


def build_line(leaf: Leaf) -> list[str]:
    """Return a command line that the parser takes: each positional argument has one value."""
    given = [
        str(next(iter(each.choices))) if each.choices else "x"
        for each in leaf.parser._actions
        if not each.option_strings and each.nargs in (None, "+")
    ]
    required = [word for each in leaf.parser._actions if each.required and each.option_strings for word in (each, "x")]
    return [*leaf.words, *given, *(word if isinstance(word, str) else word.option_strings[0] for word in required)]


def prints_data(leaf: Leaf) -> bool:
    """Look for a print to standard output in the function that does the work."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(leaf.parser.get_default("run"))))
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and "file" not in {each.arg for each in node.keywords}
        for node in ast.walk(tree)
    )


def test_the_walk_finds_commands_and_sub_commands() -> None:
    assert {name.split()[0] for name in LEAVES} == {*main.COMMANDS}
    assert {"up", "gate show", "rotate ca", "lease hold", "image push"} <= {*LEAVES}


@each_leaf
def test_its_help_is_one_sentence(leaf: Leaf) -> None:
    assert leaf.text, "no help"
    assert not re.search(r"\.$|\.\s+[A-Z]", leaf.text), "one sentence, without its full stop"
    assert leaf.text[0].islower()
    assert leaf.parser.description


@each_leaf
def test_data_has_a_form_for_programs(leaf: Leaf) -> None:
    has_json = "--json" in leaf.parser._option_string_actions
    assert has_json == bool(leaf.shape)
    assert not (leaf.shape and leaf.prints), "--json, or data that programs read as it is: not both"
    if prints_data(leaf):
        assert leaf.shape or leaf.prints


@each_leaf
def test_an_abbreviated_option_is_not_taken(leaf: Leaf) -> None:
    """A later option could change its meaning."""
    assert not leaf.parser.allow_abbrev


@each_leaf
@pytest.mark.parametrize("raised", [ConfigError("wrong"), HostError("broken"), RuntimeError("a fault")])
def test_an_error_has_the_exit_code_of_the_table(
    leaf: Leaf, raised: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: argparse.Namespace) -> int:
        raise raised

    monkeypatch.setattr(find_run(leaf), fail)
    otherwise = ExitCode.UNKNOWN if leaf.judges else ExitCode.FAILED
    wanted = ExitCode.USAGE if isinstance(raised, ConfigError) else otherwise
    assert main.main(build_line(leaf)) == wanted
    assert capsys.readouterr().out == ""


# `init` names a stack that does not exist yet.
WITH_STACK = [
    leaf for leaf in LEAVES.values() if "--stack" in leaf.parser._option_string_actions and leaf.words != ("init",)
]


@pytest.mark.parametrize("leaf", WITH_STACK, ids=lambda leaf: " ".join(leaf.words))
def test_a_missing_stack_is_bad_input_everywhere(leaf: Leaf, capsys: pytest.CaptureFixture[str]) -> None:
    line = build_line(leaf)
    line += {"load": ["--list"], "lease hold": ["true"]}.get(" ".join(leaf.words), [])
    # Before the rest of a line, which `lease hold` hands on.
    line[len(leaf.words) : len(leaf.words)] = ["--stack", "no-such-stack"]
    assert main.main(line) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert 'stack "no-such-stack": no file' in printed.err


def test_the_page_has_each_command_and_each_code() -> None:
    page = (paths.project_root() / "docs" / "commands.md").read_text()
    assert page == render_page(), "kinky generate writes it"
    assert all(f"| `{name}` |" in page for name in LEAVES)
    assert all(f"| {code.value} |" in page for code in ExitCode)
