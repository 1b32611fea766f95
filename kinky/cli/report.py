"""`kinky report`: one page with all that is to see of a cluster."""

from __future__ import annotations

import argparse

from kinky.cli import options
from kinky.given_paths import resolve_given
from kinky.stacks.file import read_stack_file


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky report`."""
    parser = options.command_parser(command, description="Write one page (HTML) about a cluster; no script, no server.")
    parser.add_argument("file", type=resolve_given, metavar="FILE", help="the page to write, such as report.html")
    options.add_stack(parser)
    parser.add_argument("--deep", action="store_true", help="also start pods and write a value; takes up to a minute")
    options.set_run(parser, run_report)
    return parser


def run_report(arguments: argparse.Namespace) -> int:
    """Look once and write the page; the exit code is 0 whatever the page says."""
    from kinky.cli.looking import judge_now
    from kinky.progress import note
    from kinky.report.page import render
    from kinky.report.story import fetch_story
    from kinky.status.files import check_writable, write_output

    check_writable("FILE", arguments.file)
    stack_file = read_stack_file(arguments.stack)
    look = judge_now(stack_file, deep=arguments.deep)
    page = render(look.verdicts, fetch_story(look.target), stack=stack_file.stack, now=look.at)
    write_output("FILE", arguments.file, page)
    note(f"{look.verdicts[0].word.value}: {arguments.file}")
    return 0
