"""The options of `kinky status`, and which of their values are refused."""

from __future__ import annotations

import argparse
from typing import Final

from kinky.cli import options
from kinky.errors import ConfigError
from kinky.given_paths import resolve_given

SHORTEST_SECONDS: Final = 1.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all options."""
    options.add_stack(parser)
    options.add_json(parser, "docs/status.schema.json; with --selftest a list of probe, fault, wanted, seen, passed")
    parser.add_argument(
        "--capability", "-c", action="append", default=[], metavar="NAME", help="only this (repeatable)"
    )
    parser.add_argument("--deep", action="store_true", help="also start pods and write a value; takes up to a minute")
    parser.add_argument("--strict", action="store_true", help="any disagreement of outside and inside is exit code 2")
    parser.add_argument("--watch", action="store_true", help="go on, and print changes only")
    parser.add_argument("--interval", type=float, metavar="SECONDS", help="shortest pause of --watch between two looks")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="limit of one question")
    parser.add_argument("--vantage", default="here", metavar="NAME", help="name of this place in the output")
    parser.add_argument("--allow-inside", action="store_true", help="judge from inside the cluster, and say so")
    parser.add_argument("--prometheus", type=resolve_given, metavar="FILE", help="also write metrics to this file")
    parser.add_argument("--page", type=resolve_given, metavar="FILE", help="also write the report to this file (HTML)")
    parser.add_argument(
        "--read",
        type=resolve_given,
        action="append",
        metavar="FILE",
        help="judge what --json has printed, instead of looking; several files are several vantages",
    )
    parser.add_argument("--selftest", action="store_true", help="check each probe against faults on this machine")


def check_arguments(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be done before anything is asked; raises ConfigError with the field."""
    from kinky.status.files import check_writable
    from kinky.status.probes import CAPABILITIES, PROBES

    for name in arguments.capability:
        if name not in CAPABILITIES:
            raise ConfigError(f"--capability {name}: unknown", hint=f"known are {', '.join(CAPABILITIES)}")
    if arguments.interval is not None and not arguments.interval >= SHORTEST_SECONDS:
        raise ConfigError(f"--interval {arguments.interval:g}: must be at least {SHORTEST_SECONDS:g} s")
    if arguments.timeout is not None and not arguments.timeout > 0:
        raise ConfigError(f"--timeout {arguments.timeout:g}: must be more than 0 s")
    longest = max(probe.limit_seconds for probe in PROBES.values())
    limit = longest if arguments.interval is None else arguments.interval
    if arguments.timeout is not None and arguments.timeout > limit:
        told = "--interval" if arguments.interval is not None else "a look's limit"
        raise ConfigError(f"--timeout {arguments.timeout:g}: must not be more than {told}, {limit:g} s")
    if not arguments.vantage.strip():
        raise ConfigError("--vantage: must be a name", hint="leave it out for the name here")
    check_writable("--prometheus", arguments.prometheus)
    check_writable("--page", arguments.page)
