"""Pulumi's output about a stack, asked for without touching anything, and kept in memory only.

An answer that was kept from the last `up` would be one more file that secrets could be in. At the highest verbosity the
engine prints each property of each resource; measured: what is marked secret too, in the clear. So a dry run shows what
`up` and `destroy` would show.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from kinky import paths, process
from kinky.errors import CommandError, KinkyError
from kinky.scan.artefact import Artefact
from kinky.scan.expected import Place
from kinky.scan.files import read_handle
from kinky.scan.kind import Kind
from kinky.scan.secret import KnownSecret, SecretClass
from kinky.scan.source import Source
from kinky.stacks.environment import PULUMI_PROGRAMS, build_environment, build_search_path
from kinky.stacks.file import StackFile

_PLAIN: Final = ("--diff", "--non-interactive", "--color=never")
_VERBOSE: Final = (*_PLAIN, "--show-sames", "--logtostderr", "--logflow", "-v=9")
RUNS: Final[Mapping[str, tuple[str, ...]]] = {
    "preview": ("preview", *_PLAIN, "--show-secrets=false"),
    "verbose preview": ("preview", *_VERBOSE, "--show-secrets=false"),
    "verbose refresh": ("refresh", "--preview-only", *_VERBOSE),
    "verbose destroy": ("destroy", "--preview-only", *_VERBOSE),
}
"""None of them changes anything, takes the stack's lock or asks; without `--yes` none could go on if it asked."""
LIMIT_SECONDS: Final = 300
MARKER: Final = KnownSecret(SecretClass.MARKER, "of Pulumi's summary", b"Resources:")


def ask_pulumi(stack_file: StackFile) -> Source:
    """Run Pulumi on the stack and return what it printed; when it cannot be run, the source says so and is empty."""
    try:
        program, environment = _find_pulumi(stack_file)
    except KinkyError as error:
        return _build_source([], unread=[f"{Kind.PULUMI_OUTPUT}: {error.message}"])
    artefacts, unread = [], []
    for name, arguments in RUNS.items():
        output = _make_memory(name)
        try:
            _run(program, (*arguments, "--stack", stack_file.stack), environment, output)
        except CommandError as error:
            ended = error.message.partition(":")[0]
            unread.append(f"{Kind.PULUMI_OUTPUT} {name}, after its end: {ended}; what it had printed was searched")
        artefacts.append(Artefact(Kind.PULUMI_OUTPUT, name, partial(read_handle, output)))
    return _build_source(artefacts, unread=unread)


def _build_source(artefacts: list[Artefact], *, unread: list[str]) -> Source:
    return Source(
        title="what Pulumi prints",
        kinds=frozenset({Kind.PULUMI_OUTPUT}),
        artefacts=artefacts,
        markers=(MARKER,),
        places=tuple(_expect_summary(artefacts, unread)),
        unread=tuple(unread),
    )


def _expect_summary(artefacts: list[Artefact], unread: list[str]) -> Iterator[Place]:
    """Yield that each run which came to its end has printed its summary."""
    for artefact in artefacts:
        if not any(text.startswith(f"{artefact.kind} {artefact.name},") for text in unread):
            yield Place(
                kind=artefact.kind,
                name=artefact.name,
                secret_class=SecretClass.MARKER,
                secret=MARKER.name,
                reason="public, and at the end of each run",
                itself=True,
            )


def _find_pulumi(stack_file: StackFile) -> tuple[Path, dict[str, str]]:
    """Return the program and its variables; raises KinkyError when something is absent, and builds nothing."""
    from kinky.toolchain.tools import list_tools

    found = {row.name: row.path for row in list_tools() if row.name in PULUMI_PROGRAMS}
    tools = {name: path for name, path in found.items() if path is not None}
    if missing := [name for name in PULUMI_PROGRAMS if name not in tools]:
        raise KinkyError(f"not made yet: {', '.join(missing)}; kinky tools --ensure makes them")
    environment = build_environment(stack_file, environ=os.environ)
    return tools["pulumi"], environment | {"PATH": build_search_path(tools.values(), environ=os.environ)}


def _run(program: Path, arguments: tuple[str, ...], environment: Mapping[str, str], output: BinaryIO) -> None:
    """Run Pulumi with both of its outputs into one, so that no error repeats a line of it."""
    process.run(
        ["sh", "-c", 'exec "$@" 2>&1', "sh", program, *arguments],
        reason="see what Pulumi prints",
        env=environment,
        cwd=paths.project_root(),
        output=output,
        timeout_seconds=LIMIT_SECONDS,
    )


def _make_memory(name: str) -> BinaryIO:
    """Return a file that is on no disk; Pulumi may print a hundred megabytes."""
    return os.fdopen(os.memfd_create(name), "w+b", buffering=0)
