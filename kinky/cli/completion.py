"""`kinky completion`: a shell completes commands, options and names of stacks.

The shell loads a script of argcomplete. At each Tab the script calls `kinky`, which answers with the words that fit.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from typing import Final

from kinky.cli import options

SHELLS: Final = ("bash", "zsh", "fish")


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky completion`."""
    parser = options.command_parser(
        command,
        description='Print a script for your shell. Use: eval "$(kinky completion bash)", or for fish: '
        "kinky completion fish | source",
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads the script")
    options.set_run(parser, run_completion, prints="the script")
    return parser


def run_completion(arguments: argparse.Namespace) -> int:
    """Print the script."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["kinky"], shell=arguments.shell))
    return 0


def complete(commands: Mapping[str, str], *, load: Callable[[str], argparse.ArgumentParser]) -> None:
    """Answer the shell and end the process.

    Args:
        commands: Each command with its line of help.
        load: Returns the parser of one command; the others are not imported, because Tab has to be quick.
    """
    import argcomplete

    root = argparse.ArgumentParser(prog="kinky", allow_abbrev=False)
    root.add_argument("--version", action="store_true", help="print the version")
    adding = root.add_subparsers()
    chosen = os.environ.get("COMP_LINE", "").split()[1:2]
    for name, text in commands.items():
        own = [load(name)] if name in chosen else []
        adding.add_parser(name, help=text, parents=own, add_help=not own, allow_abbrev=False)
    argcomplete.autocomplete(root, always_complete_options=False)
