"""`kinky why`: why a node did not come up, or went away, in one sentence, with evidence and the next step."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from kinky.cli import options
from kinky.cli.looking import find_way, open_way
from kinky.errors import ConfigError, KinkyError
from kinky.exit_codes import ExitCode
from kinky.progress import note
from kinky.stacks.file import StackFile, read_stack_file

if TYPE_CHECKING:
    from kinky.status.target import Target
    from kinky.why.ladder import Explanation


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky why`."""
    parser = options.command_parser(
        command, description="Say why a node did not come up, or went away. Exit code 2 when one is not up."
    )
    parser.add_argument("node", nargs="?", metavar="NODE", help="name of a node (default: all of the stack)")
    options.add_stack(parser)
    options.add_json(parser, "a list of node, reached, missing, sentence, next_step, evidence, before_vm")
    options.set_run(parser, run_why, judges=True)
    return parser


def run_why(arguments: argparse.Namespace) -> int:
    """Explain one node, or all."""
    from kinky.topology.nodes import build_nodes

    stack_file = read_stack_file(arguments.stack)
    nodes = [node.name for node in build_nodes(stack_file.config)]
    if arguments.node is not None and arguments.node not in nodes:
        raise ConfigError(
            f"{arguments.node} is not declared by stack {stack_file.stack}", hint=f"its nodes are {', '.join(nodes)}"
        )
    chosen = [arguments.node] if arguments.node else nodes
    explained = explain_nodes(open_cluster(stack_file), chosen)
    if arguments.json:
        print(options.to_json([asdict(each) for each in explained]))
    else:
        print("\n".join(describe(explained)))
    return ExitCode.DONE if all(each.is_up for each in explained) else ExitCode.CRITICAL


def open_cluster(stack_file: StackFile) -> Target:
    """Open the ways to the stack's cluster, also before `up` has written a kubeconfig."""
    return open_way(stack_file, find_way(stack_file))


def tell_why(stack_file: StackFile) -> None:
    """Say why nodes are not up after an `up` that failed; a cluster that cannot be read, or has no VM, says nothing."""
    from kinky.topology.nodes import build_nodes

    with contextlib.suppress(KinkyError, OSError):
        names = [node.name for node in build_nodes(stack_file.config)]
        missing = [each for each in explain_nodes(open_cluster(stack_file), names) if not each.is_up]
        # Without VMs `up` has failed before the nodes, and its own words are enough.
        for line in describe([each for each in missing if not each.before_vm]):
            note(line)


def explain_nodes(target: Target, chosen: Sequence[str]) -> list[Explanation]:
    """Explain these nodes; raises KinkyError when the host does not answer."""
    from kinky.status.ladders import climb

    target.host.fetch_version()
    return [ladder.explanation for ladder in climb(target, chosen)]


def describe(explained: Sequence[Explanation]) -> list[str]:
    """Return the explanations as text: the nodes that are not up first."""
    lines: list[str] = []
    for each in sorted(explained, key=lambda each: each.is_up):
        lines.append(f"{'✓' if each.is_up else '✗'} {each.sentence}")
        if each.is_up:
            continue
        reached = each.reached[-1] if each.reached else "nothing"
        lines.append(f"    reached: {reached}; not there: {each.missing}")
        lines += [f"    {each.pace.sentence}"] if each.pace else []
        lines += [f"    evidence: {text}" for text in each.evidence]
        lines.append(f"    next step: {each.next_step}")
    return lines
