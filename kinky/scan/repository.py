"""A git repository: the files that git would take, all objects of its history, and what the next commit holds."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from kinky import process
from kinky.scan.artefact import Artefact
from kinky.scan.files import find_files
from kinky.scan.kind import Kind


def find_work_tree(root: Path) -> Iterator[Artefact]:
    """Yield the files that are in git or would be after `git add`."""
    for name in _ask_names(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"):
        # A link is in git as its target's name; what it leads to is not.
        if not (file := root / os.fsdecode(name)).is_symlink():
            yield from find_files(Kind.WORK_TREE, file, base=root)


def find_objects(root: Path) -> Iterator[Artefact]:
    """Yield every object of the repository, also those that no branch leads to any more."""
    with _git(root, "cat-file", "--batch", "--batch-all-objects", "--unordered") as output:
        while (entry := _read_object(output)) is not None:
            yield Artefact.hold(Kind.GIT_OBJECT, *entry)


def find_staged(root: Path) -> Iterator[Artefact]:
    """Yield the files that the next commit adds or changes, as they are in the index."""
    fields = _ask_names(root, "diff", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--diff-filter=d")
    # Each file is two fields: modes, objects and status; then its name.
    request = b"".join(about.split()[3] + b"\n" for about in fields[::2])
    with _git(root, "cat-file", "--batch", stdin=request) as output:
        for name in fields[1::2]:
            # Of a submodule there is a commit elsewhere, and no object here.
            if (entry := _read_object(output)) is not None:
                yield Artefact.hold(Kind.STAGED, os.fsdecode(name), entry[1])


@contextlib.contextmanager
def _git(root: Path, *arguments: str, stdin: bytes = b"") -> Iterator[BinaryIO]:
    """Run git and yield what it printed."""
    with tempfile.TemporaryFile() as output:
        process.run(["git", *arguments], reason="look for secrets in git", cwd=root, stdin=stdin, output=output)
        output.seek(0)
        yield output


def _ask_names(root: Path, *arguments: str) -> Sequence[bytes]:
    with _git(root, *arguments) as output:
        return output.read().split(b"\0")[:-1]


def _read_object(output: BinaryIO) -> tuple[str, bytes] | None:
    """Read one object as `git cat-file --batch` writes it: identity, type and size on a line, content, line end."""
    head = output.readline().decode().split()
    if len(head) < 3:
        return None
    identity, kind, size = head
    content = output.read(int(size))
    output.read(1)
    return f"{kind} {identity}", content
