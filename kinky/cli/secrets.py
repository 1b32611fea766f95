"""`kinky secrets`: the admin's values in a stack's secrets store. A value is read or hashed here, never printed."""

from __future__ import annotations

import argparse
import getpass
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NoReturn

from kinky import paths
from kinky.cli import options
from kinky.errors import KinkyError
from kinky.given_paths import resolve_given
from kinky.progress import note
from kinky.stacks.file import StackFile, read_stack_file

if TYPE_CHECKING:
    from kinky.stores.store import Store

DEFAULT_KEY: Final = "value"


class DiscreetParser(options.Parser):
    """A parser that does not repeat an argument which it does not know: it may be a value."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, and end."""
        if message.startswith("unrecognized"):
            message = "a value is not taken from the command line, where others can read it: use --file or a pipe"
        super().error(message)


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky secrets`."""
    parser = DiscreetParser(
        prog=f"kinky {command}",
        description="The values of a stack's secrets store: written straight from here, never through Pulumi.",
        allow_abbrev=False,
    )
    actions = options.add_actions(parser)
    put = options.add_action(actions, "set", "write a value from standard input or a file; it replaces an existing one")
    _add_name(put)
    put.add_argument("--key", default=DEFAULT_KEY, help="key in the value (default: %(default)s)")
    put.add_argument("--file", type=resolve_given, help="file with the value, byte for byte (default: standard input)")
    options.add_stack(put)
    options.set_run(put, run_set)
    listed = options.add_action(actions, "list", "print names, keys, ages and fingerprints")
    options.add_stack(listed)
    options.add_json(listed, "a list of name, place, madeBy, changedAt, keys (fingerprints by key)")
    options.set_run(listed, run_list)
    remove = options.add_action(actions, "rm", "remove a value that an admin has set")
    _add_name(remove)
    options.add_stack(remove)
    options.set_run(remove, run_remove)
    return parser


def run_set(arguments: argparse.Namespace) -> int:
    """Write one value and tell its fingerprint."""
    from kinky.stores.values import check_key, check_value_name, put_value

    stack_file = read_stack_file(arguments.stack)
    # Before the value is asked for: nobody should type one for nothing.
    check_value_name(stack_file.cluster, arguments.name)
    check_key(arguments.key)
    store = _open_store(stack_file)
    value = read_value(arguments.file, sys.stdin.buffer, prompt=f"value of {arguments.name} ({arguments.key}): ")
    change = put_value(store, stack_file.cluster, arguments.name, key=arguments.key, value=value)
    if value.endswith(b"\n"):
        note("the value ends with a newline, which is part of it; printf %s writes none")
    what = f"{change.place}, key {arguments.key}"
    if change.before is None:
        note(f"{what}: set, fingerprint {change.after}")
    elif change.before == change.after:
        note(f"{what}: the same value as before, fingerprint {change.after}")
    else:
        note(f"{what}: replaced, fingerprint {change.before} before, {change.after} now")
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Print what the store holds, without a value."""
    values = _open_store(read_stack_file(arguments.stack)).fetch_all()
    if arguments.json:
        rows = [
            {
                "name": value.name,
                "place": value.place,
                "madeBy": value.made_by,
                "changedAt": value.changed_at.isoformat(),
                "keys": dict(value.fingerprints),
            }
            for value in values
        ]
        print(options.to_json(rows))
        return 0
    now = datetime.now(UTC)
    lines = [
        (value.name, key, format_age(now - value.changed_at), fingerprint, value.made_by)
        for value in values
        for key, fingerprint in value.fingerprints.items()
    ]
    print(options.to_table([("NAME", "KEY", "AGE", "SHA-256", "MADE BY"), *lines]))
    return 0


def run_remove(arguments: argparse.Namespace) -> int:
    """Remove one value."""
    from kinky.stores.values import delete_value

    stack_file = read_stack_file(arguments.stack)
    value = delete_value(_open_store(stack_file), stack_file.cluster, arguments.name)
    note(f"{value.place}: removed, and the right to read it")
    note("what an ExternalSecret has copied stays in the inner cluster until that ExternalSecret is removed")
    return 0


def read_value(path: Path | None, stream: BinaryIO, *, prompt: str) -> bytes:
    """Read a value from a file, from a person at a terminal, or from a stream; raises KinkyError for an empty one."""
    from kinky.stores.values import VALUE_LIMIT_BYTES

    source = "standard input" if path is None else str(path)
    if path is not None:
        try:
            with path.open("rb") as file:
                value = file.read(VALUE_LIMIT_BYTES + 1)
        except OSError as error:
            raise KinkyError(f"cannot read the value from {paths.show_named(path)}: {error.strerror}") from None
    elif stream.isatty():
        value = getpass.getpass(prompt).encode()
    else:
        value = stream.read(VALUE_LIMIT_BYTES + 1)
    if not value.strip():
        raise KinkyError(f"the value from {source} is empty; nothing was changed", hint="kinky secrets rm removes one")
    if len(value) > VALUE_LIMIT_BYTES:
        raise KinkyError(f"the value from {source} has more than {VALUE_LIMIT_BYTES} bytes, which no Secret holds")
    return value


def format_age(age: timedelta) -> str:
    """Return an age as kubectl does: its largest unit."""
    seconds = max(int(age.total_seconds()), 0)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the value, such as db-password")


def _open_store(stack_file: StackFile) -> Store:
    """Open the store of a stack whose cluster is there."""
    from kinky.stacks.inner import find_reach, find_store

    return find_store(stack_file, find_reach(stack_file))
