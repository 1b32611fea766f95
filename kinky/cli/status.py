"""`kinky status`: whether a cluster works, judged from outside; with an exit code for programs."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinky.cli import options
from kinky.cli.looking import Prober, open_prober
from kinky.cli.status_options import add_options, check_arguments
from kinky.errors import ConfigError, KinkyError
from kinky.exit_codes import ExitCode
from kinky.stacks.file import StackFile, read_stack_file

if TYPE_CHECKING:
    from kinky.status.judgement import Verdict
    from kinky.status.memory import Memory
    from kinky.status.target import Target


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky status`."""
    parser = options.command_parser(
        command,
        description="Judge a cluster from outside. Exit codes: 0 OK, 1 DEGRADED, 2 CRITICAL, 3 UNKNOWN, 64 bad input.",
    )
    add_options(parser)
    options.set_run(parser, run_status, judges=True)
    return parser


def run_status(arguments: argparse.Namespace) -> int:
    """Look, judge, print; the exit code is the verdict."""
    if arguments.selftest:
        return run_selftest(as_json=arguments.json)
    check_arguments(arguments)
    stack_file = read_stack_file(arguments.stack)
    return run_read(arguments, stack_file) if arguments.read else look(arguments, stack_file)


def run_selftest(*, as_json: bool) -> int:
    """Check the checks; critical when a probe does not name a fault for the right reason."""
    from kinky.status.selftest import run_selftest as run

    outcomes = run()
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if as_json:
        print(options.to_json([{**vars(each), "passed": each.passed} for each in outcomes]))
    else:
        rows = [("", "PROBE", "FAULT", "MUST SAY", "SAID")]
        rows += [("✓" if e.passed else "✗", e.probe, e.fault, e.wanted, e.seen or "nothing wrong") for e in outcomes]
        print(options.to_table(rows))
        print(
            f"{len(outcomes) - len(failed)} of {len(outcomes)} faults named; probes that fail: "
            f"{', '.join(sorted({each.probe for each in failed})) or 'none'}"
        )
    return ExitCode.CRITICAL if failed else ExitCode.DONE


def run_read(arguments: argparse.Namespace, stack_file: StackFile) -> int:
    """Judge what other looks have written; what is older than two intervals is UNKNOWN."""
    from kinky.status.document import read_observations
    from kinky.status.judgement import expire, judge
    from kinky.status.probes import PROBES

    now = datetime.now(UTC)
    found = [each for path in arguments.read for each in read_observations(Path(path))]
    ages = {probe.capability: probe.age_seconds for probe in PROBES.values()}
    if arguments.interval is not None:
        ages = dict.fromkeys({each.capability for each in found}, 2 * arguments.interval)
    return tell(arguments, stack_file, judge(expire(found, now=now, limits=ages), now=now), now)


def look(arguments: argparse.Namespace, stack_file: StackFile) -> int:
    """Look at the cluster, once or until the end."""
    from kinky.status import probes
    from kinky.status.judgement import judge
    from kinky.status.memory import read_memory, write_memory
    from kinky.status.rounds import describe_no_host, look_once

    chosen = probes.choose(arguments.capability, deep=arguments.deep)
    try:
        prober = open_prober(
            stack_file,
            vantage=arguments.vantage,
            allow_inside=arguments.allow_inside,
            timeout_seconds=arguments.timeout,
        )
    except ConfigError:
        raise
    except KinkyError as error:
        names = sorted({probe.capability for probe in chosen.values()})
        seen = describe_no_host(names, error, vantage=arguments.vantage)
        now = datetime.now(UTC)
        return tell(arguments, stack_file, judge(seen, now=now), now)
    memory = read_memory(stack_file.cluster, prober.identity)
    if arguments.watch:
        return _watch(arguments, stack_file, prober, memory)
    seen = look_once(prober.target, chosen, vantage=prober.vantage)
    now = datetime.now(UTC)
    verdicts = judge(seen, now=now, disagree_since=memory.disagree_since)
    write_memory(stack_file.cluster, memory.learn(verdicts))
    return tell(arguments, stack_file, verdicts, now, target=prober.target)


def tell(
    arguments: argparse.Namespace,
    stack_file: StackFile,
    verdicts: Sequence[Verdict],
    now: datetime,
    *,
    target: Target | None = None,
) -> int:
    """Print and write the verdicts, and return the exit code."""
    from kinky.status import table
    from kinky.status.judgement import find_exit_code

    code = find_exit_code(verdicts, strict=arguments.strict)
    if arguments.json:
        print(options.to_json(build_json(stack_file, verdicts, now, code)))
    else:
        print(options.to_table(table.render(verdicts, now=now)))
        print("\n".join(table.explain(verdicts)).rstrip())
    write_files(arguments, stack_file, verdicts, now, target=target)
    return code


def build_json(stack_file: StackFile, verdicts: Sequence[Verdict], now: datetime, code: int) -> dict[str, Any]:
    """Return the status as JSON has it."""
    from kinky.status.document import build_document

    return build_document(verdicts, stack=stack_file.stack, cluster=stack_file.cluster, now=now, exit_code=code)


def write_files(
    arguments: argparse.Namespace,
    stack_file: StackFile,
    verdicts: Sequence[Verdict],
    now: datetime,
    *,
    target: Target | None,
) -> None:
    """Write the metrics and the page, where they are wanted."""
    from kinky.status import prometheus
    from kinky.status.files import write_output

    if arguments.prometheus:
        content = prometheus.render(verdicts, cluster=stack_file.cluster, now=now)
        write_output("--prometheus", arguments.prometheus, content)
    if arguments.page:
        from kinky.report.page import render
        from kinky.report.story import fetch_story

        story = fetch_story(target) if target else None
        write_output("--page", arguments.page, render(verdicts, story, stack=stack_file.stack, now=now))


def _watch(arguments: argparse.Namespace, stack_file: StackFile, prober: Prober, memory: Memory) -> int:
    """Look until Ctrl-C, and print what changes."""
    from kinky.status import probes, table
    from kinky.status.judgement import find_exit_code
    from kinky.status.memory import write_memory
    from kinky.status.watch import Board, run_watch

    chosen = probes.choose(arguments.capability, deep=arguments.deep)
    board = Board(probes=chosen, vantage=prober.vantage, disagree_since=dict(memory.disagree_since))
    last: list[Verdict] = []

    def see(verdicts: list[Verdict], changed: list[Verdict], now: datetime) -> None:
        last[:] = verdicts
        if changed:
            write_memory(stack_file.cluster, memory.learn(verdicts))
        code = find_exit_code(verdicts, strict=arguments.strict)
        for verdict in changed:
            if arguments.json:
                print(options.to_json(build_json(stack_file, [verdict], now, code)), flush=True)
            else:
                lines = table.explain([verdict])[1:] or [f"{verdict.capability}: OK ({verdict.outside.detail})"]
                print(f"{now:%Y-%m-%dT%H:%M:%SZ} " + "\n".join(lines), flush=True)
        wanted = argparse.Namespace(**{**vars(arguments), "page": arguments.page if changed else None})
        write_files(wanted, stack_file, verdicts, now, target=prober.target)

    end = threading.Event()
    try:
        run_watch(prober.target, chosen, board, see, interval_seconds=arguments.interval, end=end)
    except KeyboardInterrupt:
        end.set()
    return find_exit_code(last, strict=arguments.strict)
