"""`kinky env`: settings for the shell, with which Pulumi, kubectl and kinky see one stack."""

from __future__ import annotations

import argparse
import os
import shlex

from kinky import paths
from kinky.cli import options
from kinky.progress import note
from kinky.stacks.environment import PULUMI_PROGRAMS, build_environment, build_search_path
from kinky.stacks.file import read_stack_file


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky env`."""
    parser = options.command_parser(
        command, description='Print shell settings for one stack. Use: eval "$(kinky env --stack dev)"'
    )
    options.add_stack(parser)
    options.add_json(parser, "the variables by name")
    options.set_run(parser, run_env)
    return parser


def run_env(arguments: argparse.Namespace) -> int:
    """Print the settings as shell text, or as JSON."""
    from kinky.toolchain import tools

    found = {row.name: row.path for row in tools.list_tools() if row.name in PULUMI_PROGRAMS}
    missing = [name for name in PULUMI_PROGRAMS if found.get(name) is None]
    if missing:
        note(f"not made yet: {', '.join(missing)}; kinky tools --ensure makes them")
    stack_file = read_stack_file(arguments.stack)
    values = {
        "PATH": build_search_path([path for path in found.values() if path], environ=os.environ),
        **build_environment(stack_file, environ=os.environ),
    }
    values["KUBECONFIG"] = str(paths.stack_dir(stack_file.cluster) / "kubeconfig.yaml")
    if arguments.json:
        print(options.to_json(values))
    else:
        print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items()))
    return 0
