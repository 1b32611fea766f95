"""`kinky tools`: the programs that KinKy uses and does not write."""

from __future__ import annotations

import argparse
import dataclasses

from kinky.cli import options
from kinky.progress import phase


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky tools`."""
    parser = options.command_parser(command, description="List the programs that KinKy uses: version, source, path.")
    parser.add_argument(
        "--ensure", nargs="*", metavar="NAME", help="make these programs available first (default: all of them)"
    )
    options.add_release(parser, what="the release of Kubernetes whose programs they are")
    options.add_json(parser, "a list of name, version, source, path")
    options.set_run(parser, run_tools)
    return parser


def run_tools(arguments: argparse.Namespace) -> int:
    """Print the table; with --ensure, make what is missing and print only what was asked for."""
    from kinky.releases import find_release
    from kinky.toolchain import tools

    release = find_release(arguments.release)
    wanted = arguments.ensure
    if wanted is not None:
        for name in wanted or [row.name for row in tools.list_tools(release)]:
            # Looked up again each time: one build makes several programs.
            if not any(row.name == name and row.path for row in tools.list_tools(release)):
                with phase(f"making {name}"):
                    tools.tool_path(name, release=release)
    rows = [row for row in tools.list_tools(release) if not wanted or row.name in wanted]
    if arguments.json:
        print(options.to_json([dataclasses.asdict(row) for row in rows]))
        return 0
    table = [("NAME", "VERSION", "SOURCE", "PATH")]
    table += [(row.name, row.version, row.source, str(row.path or "-")) for row in rows]
    print(options.to_table(table))
    return 0
