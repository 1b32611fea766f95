"""Entry point of the `kinky` command: finds the command's module, runs it, turns errors into exit codes."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from kinky.border import run_main
from kinky.exit_codes import ExitCode


@dataclass(frozen=True)
class Command:
    """Where a command lives, and its line in `kinky --help`."""

    module: str
    help: str


COMMANDS: Final = {
    "init": Command("kinky.cli.init", "write a Pulumi project of your own that makes an inner cluster"),
    "up": Command("kinky.cli.stack", "create or update a stack: the same program as pulumi up"),
    "preview": Command("kinky.cli.stack", "show what up would change"),
    "destroy": Command("kinky.cli.stack", "remove everything that a stack made"),
    "outputs": Command("kinky.cli.stack", "print the outputs of a stack"),
    "forget": Command("kinky.cli.forget", "drop the state of a stack whose host is gone; deletes nothing on any host"),
    "env": Command("kinky.cli.environment", 'print shell settings: eval "$(kinky env --stack dev)"'),
    "kubeconfig": Command("kinky.cli.access", "print the kubeconfig of a stack's inner cluster, which holds no key"),
    "credential": Command("kinky.cli.access", "print a credential for kubectl (called by the kubeconfig)"),
    "status": Command("kinky.cli.status", "whether a cluster works, judged from outside; exit code 0, 1, 2 or 3"),
    "why": Command("kinky.cli.why", "why a node did not come up, or went away: one sentence and the next step"),
    "report": Command("kinky.cli.report", "write one page (HTML) with status, nodes, timeline and certificates"),
    "bundle": Command("kinky.cli.bundle", "write a folder for whoever looks into a failure; no secret is in it"),
    "gate": Command("kinky.cli.gate", "the gate before workloads: show, open, close"),
    "secrets": Command("kinky.cli.secrets", "the values of a stack's secrets store: set, list, rm"),
    "rotate": Command("kinky.cli.rotate", "new keys for a living cluster, item by item; status"),
    "lease": Command("kinky.cli.lease", "clusters that their host removes in time: list, renew, end, hold"),
    "load": Command("kinky.cli.load", "put container images into the nodes of a stack, without a registry"),
    "host": Command("kinky.cli.host", "the embedded host: up, down, status, logs, load"),
    "down": Command("kinky.cli.down", "destroy a stack of the embedded host, then stop and remove that host"),
    "tools": Command("kinky.cli.tools", "list or make the programs that KinKy uses"),
    "image": Command("kinky.cli.image", "the node image: build, show, push, pull, add, list"),
    "scan": Command("kinky.cli.scan", "look for a stack's secrets in forbidden places; also a commit hook"),
    "bench": Command(
        "kinky.cli.bench", "measure up on each ground and compare it with the same nodes without KubeVirt"
    ),
    "completion": Command("kinky.cli.completion", "print a script that completes kinky's words: bash, zsh or fish"),
    "generate": Command("kinky.cli.generate", "write the files that come from the models: schemas and pages of docs"),
}
USUAL: Final = ("up", "env", "status", "why", "destroy")
"""The commands of a usual day, which come first."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, which is one of `ExitCode`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "_ARGCOMPLETE" in os.environ:  # set by the script of `kinky completion`, while Tab waits
        from kinky.cli.completion import complete

        complete({name: command.help for name, command in COMMANDS.items()}, load=load_parser)
    doing = _describe(arguments)
    return run_main(doing, lambda: _dispatch(arguments, doing))


def load_parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of a command; only its own module is imported."""
    build = cast(Callable[[str], argparse.ArgumentParser], importlib.import_module(COMMANDS[name].module).build_parser)
    return build(name)


def _describe(arguments: Sequence[str]) -> str:
    """Return command and stack for a message; the other arguments are not repeated."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--stack", "-s", default="")
    stack = ""
    with contextlib.suppress(argparse.ArgumentError, SystemExit):
        stack = finder.parse_known_args(arguments[1:])[0].stack
    command = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    return f"kinky {command}".strip() + (f", stack {stack}" if stack else "")


def _dispatch(arguments: Sequence[str], doing: str) -> int:
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        # Without arguments the list is an answer to a mistake, so it goes to standard error.
        print(_overview(), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else ExitCode.USAGE
    if name == "--version":
        from kinky.cli.version import find_version

        print(f"kinky {find_version()}")
        return 0
    if name not in COMMANDS:
        print(_unknown(name), file=sys.stderr)
        return ExitCode.USAGE
    parsed = load_parser(name).parse_args(rest)
    run = cast(Callable[[argparse.Namespace], int], parsed.run)
    # A verdict has the exit code of a failure for a warning, so its own failures need another one.
    failed = ExitCode.UNKNOWN if parsed.judges else ExitCode.FAILED
    return run_main(doing, lambda: run(parsed), failed=failed)


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = {name: f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items()}
    usual = [lines.pop(name) for name in USUAL]
    end = "kinky COMMAND --help tells more; kinky --version"
    return "\n".join(
        ["usage: kinky COMMAND [OPTIONS]", "", "a usual day:", *usual, "", "all others:", *lines.values(), "", end]
    )


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {close[0]}?" if close else "kinky --help lists the commands"
    return f"unknown command: {name}\nhint: {hint}"


if __name__ == "__main__":
    sys.exit(main())
