"""`kinky rotate`: new keys for a living cluster, one item at a time; and what there is to rotate."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from kinky.cli import options
from kinky.errors import ConfigError
from kinky.progress import note
from kinky.rotation import items
from kinky.rotation.items import ITEMS
from kinky.rotation.site import KeySite, build_site
from kinky.rotation.status import ItemStatus, fetch_status
from kinky.stacks.file import read_stack_file
from kinky.stacks.inner import find_reach


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky rotate`."""
    parser = options.command_parser(
        command,
        description="New keys for a living cluster. A rotation that was cut off continues at the next call.",
    )
    actions = options.add_actions(parser, metavar="ITEM")
    for item in ITEMS.values():
        sub = options.add_action(actions, item.name, item.summary)
        options.add_stack(sub)
        sub.add_argument(
            "--dry-run", action="store_true", help="print the sub-steps and what would restart; touch nothing"
        )
        if item.can_drop_now:
            sub.add_argument(
                "--drop-now", action="store_true", help="drop the old key although tokens of it may still be in use"
            )
        options.add_json(sub, "with --dry-run, a list of its lines")
        options.set_run(sub, run_rotate)
    text = "print age and fingerprint of each key, and whether a rotation is in progress"
    status = options.add_action(actions, "status", text)
    options.add_stack(status)
    options.add_json(
        status,
        "a list of item, keys (subject, fingerprint, madeAt), unknown, inProgress, startedAt, step, waitsUntil, "
        "finishedAt",
    )
    options.set_run(status, run_status)
    return parser


def run_rotate(arguments: argparse.Namespace) -> int:
    """Rotate one item, or tell what that would do."""
    if arguments.json and not arguments.dry_run:
        raise ConfigError("--json has a meaning only with --dry-run", hint="kinky rotate status --json shows the keys")
    item, site = ITEMS[arguments.item], _find_site(arguments)
    if arguments.dry_run:
        lines = items.describe(site, item)
        print(options.to_json(lines) if arguments.json else "\n".join(lines))
    elif items.rotate(site, item):
        given = f" --stack {arguments.stack}" if arguments.stack else ""
        note(f"{item.name} of {site.cluster} is rotated; kinky rotate status{given} shows the keys")
    return 0


def run_status(arguments: argparse.Namespace) -> int:
    """Print what there is to rotate; reading it changes nothing."""
    found = fetch_status(_find_site(arguments))
    if arguments.json:
        print(options.to_json([build_row(status) for status in found]))
    else:
        print(describe(found, now=datetime.now(UTC)))
    return 0


def build_row(status: ItemStatus) -> dict[str, Any]:
    """Return one item as JSON has it."""
    progress = status.progress
    return {
        "item": status.item,
        "keys": [
            {
                "subject": key.subject,
                "fingerprint": key.fingerprint,
                "madeAt": key.made_at.isoformat() if key.made_at else None,
            }
            for key in status.keys
        ],
        "unknown": status.unknown or None,
        "inProgress": progress.is_started,
        "startedAt": progress.started_at or None,
        "step": progress.step or None,
        "waitsUntil": progress.waits_until or None,
        "finishedAt": progress.finished_at or None,
    }


def describe(found: list[ItemStatus], *, now: datetime) -> str:
    """Return the status as a table, one line for each key."""
    from kinky.cli.secrets import format_age

    rows = [("ITEM", "WHERE", "AGE", "SHA-256", "ROTATION")]
    for status in found:
        state = _describe_progress(status)
        rows += [
            (
                status.item,
                key.subject,
                format_age(now - key.made_at) if key.made_at else "unknown",
                key.fingerprint,
                state,
            )
            for key in status.keys
        ]
        if not status.keys:
            rows.append((status.item, status.unknown or "none", "unknown", "unknown", state))
    return options.to_table(rows)


def _describe_progress(status: ItemStatus) -> str:
    """Describe how far the rotation of an item is."""
    progress = status.progress
    if progress.waits_until:
        return f"waits until {progress.waits_until} with sub-step {progress.step}"
    if progress.is_started:
        return f"in progress since {progress.started_at}, at sub-step {progress.step or 'none'}"
    return f"last finished {progress.finished_at}" if progress.finished_at else "never rotated"


def _find_site(arguments: argparse.Namespace) -> KeySite:
    """Find the cluster of a stack; raises KinkyError before anything is touched."""
    stack_file = read_stack_file(arguments.stack)
    return build_site(stack_file.config, find_reach(stack_file), drop_now=getattr(arguments, "drop_now", False))
