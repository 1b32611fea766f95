"""`kinky report`: one page with all that is to see of a cluster."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from kinky.cli import options
from kinky.given_paths import resolve_given
from kinky.stacks.file import read_stack_file


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky report`."""
    parser = options.command_parser(command, description="Write one page (HTML) about a cluster; no script, no server.")
    parser.add_argument("file", type=resolve_given, metavar="FILE", help="the page to write, such as report.html")
    options.add_stack(parser)
    parser.add_argument("--deep", action="store_true", help="also start pods and write a value; takes up to a minute")
    parser.set_defaults(allow_inside=False, vantage="here", timeout=None)
    options.set_run(parser, run_report)
    return parser


def run_report(arguments: argparse.Namespace) -> int:
    """Look once and write the page; the exit code is 0 whatever the page says."""
    from kinky.cli.status import open_stack
    from kinky.progress import note
    from kinky.report.page import render
    from kinky.report.story import fetch_story
    from kinky.status import probes
    from kinky.status.files import check_writable, write_output
    from kinky.status.judgement import judge
    from kinky.status.memory import read_memory
    from kinky.status.rounds import look_once

    check_writable("FILE", arguments.file)
    stack_file = read_stack_file(arguments.stack)
    target, identity = open_stack(arguments, stack_file)
    seen = look_once(target, probes.choose([], deep=arguments.deep), vantage=arguments.vantage)
    now = datetime.now(UTC)
    since = read_memory(stack_file.cluster, identity).disagree_since
    verdicts = judge(seen, now=now, disagree_since=since)
    write_output("FILE", arguments.file, render(verdicts, fetch_story(target), stack=stack_file.stack, now=now))
    note(f"{verdicts[0].word.value}: {arguments.file}")
    return 0
