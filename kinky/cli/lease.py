"""`kinky lease`: who uses which cluster of a host namespace until when; renew a lease, end it, hold it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kinky.cli import options
from kinky.errors import ConfigError
from kinky.progress import note
from kinky.stacks.file import StackFile, read_stack_file

if TYPE_CHECKING:
    from kinky.kube.host import HostApi
    from kinky.ownership.lease import Lease

HEAD = ("CLUSTER", "STACK", "HOLDER", "AGE", "ENDS AT (UTC)", "LEFT")
ABSENT = "-"


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky lease`."""
    parser = options.command_parser(
        command, description="A leased cluster is removed by its host, unless somebody renews its lease in time."
    )
    actions = options.add_actions(parser)
    listing = options.add_action(actions, "list", "print all leases of the stack's host namespace")
    options.add_json(listing, "a list of cluster, stack, holder, startedAt, endsAt, ttlSeconds, isOver")
    renewing = options.add_action(actions, "renew", "let the cluster live its time again, from now")
    renewing.add_argument("--ttl", help="another time from now, from 5m to 7d, such as 90m or 2h; may be shorter")
    ending = options.add_action(actions, "end", "remove the cluster now, and wait until it is gone")
    holding = options.add_action(actions, "hold", "renew the lease while a command runs, and end with its exit code")
    for each in (listing, renewing, ending, holding):
        options.add_stack(each)
    for each in (renewing, ending):
        each.add_argument("--cluster", help="a cluster of the list in place of the stack's own")
    holding.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command with its options")
    for each, run in ((listing, run_list), (renewing, run_renew), (ending, run_end), (holding, run_hold)):
        options.set_run(each, run)
    return parser


def run_list(arguments: argparse.Namespace) -> int:
    """Print all leases of the namespace."""
    from kinky.ownership.lease import fetch_leases

    api = _find_host(read_stack_file(arguments.stack))
    leases = fetch_leases(api)
    now = datetime.now(UTC) - api.clock_ahead
    if arguments.json:
        print(options.to_json([_describe(each) for each in leases]))
    elif leases:
        print(options.to_table([HEAD, *(_show(each, now) for each in leases)]))
    else:
        note(f"namespace {api.namespace} has no leases")
    return 0


def run_renew(arguments: argparse.Namespace) -> int:
    """Renew one lease."""
    from kinky.config.lease import parse_ttl
    from kinky.ownership.lease import renew_lease, tell_renewed

    seconds = parse_ttl(arguments.ttl) if arguments.ttl is not None else 0
    api = _find_host(read_stack_file(arguments.stack), cluster=arguments.cluster)
    tell_renewed(renew_lease(api, seconds=seconds, may_shorten=bool(seconds)))
    return 0


def run_end(arguments: argparse.Namespace) -> int:
    """End one lease, wait until the host has removed the cluster, and drop the stack's state on this machine."""
    from kinky.ownership.lease import end_lease, require_leased, wait_removed
    from kinky.stacks.lease import forget_ended

    stack_file = read_stack_file(arguments.stack)
    api = _find_host(stack_file, cluster=arguments.cluster)
    if not end_lease(api):
        require_leased(api)
        note(f"inner cluster {api.access.cluster}: its lease has ended before")
    wait_removed(api)
    if api.access.cluster == stack_file.cluster:
        forget_ended(stack_file)
    return 0


def run_hold(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code; a lease that was lost meanwhile is an error."""
    from kinky.foreground import attend
    from kinky.ownership.lease_holder import hold_lease

    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise ConfigError("no command", hint="kinky lease hold --stack NAME -- COMMAND")
    with hold_lease(_find_host(read_stack_file(arguments.stack)).access):
        return attend(command)


def _find_host(stack_file: StackFile, *, cluster: str | None = None) -> HostApi:
    """Return the stack's host; a lease is found by the cluster's name, also from another machine."""
    from kinky.reach.host import find_host
    from kinky.reach.reach import Reach

    access = find_host(stack_file.config)
    return Reach(replace(access, cluster=cluster) if cluster else access).host()


def _describe(lease: Lease) -> dict[str, Any]:
    return {
        "cluster": lease.cluster,
        "stack": lease.stack,
        "holder": lease.holder,
        "startedAt": lease.started_at and lease.started_at.isoformat(),
        "endsAt": lease.ends_at and lease.ends_at.isoformat(),
        "ttlSeconds": lease.seconds,
        "isOver": lease.is_over,
    }


def _show(lease: Lease, now: datetime) -> list[str]:
    started, ends = lease.started_at, lease.ends_at
    return [
        lease.cluster,
        lease.stack or ABSENT,
        lease.holder or ABSENT,
        _show_time((now - started).total_seconds()) if started else "not started",
        f"{ends:%Y-%m-%d %H:%M:%S}" if ends else ABSENT,
        "over" if lease.is_over else _show_time((ends - now).total_seconds()) if ends else ABSENT,
    ]


def _show_time(seconds: float) -> str:
    """Return a time in its two largest units, such as `1h 59m`."""
    minutes = max(int(seconds // 60), 0)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    return f"{days}d {hours}h" if days else f"{hours}h {rest}m" if hours else f"{rest}m"
