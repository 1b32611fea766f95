"""Gathering the pieces, having them looked through, and publishing the folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kinky import paths
from kinky.bundle.pieces import Piece
from kinky.errors import ConfigError, KinkyError

INDEX: Final = "INDEX.md"
LIMIT_SECONDS: Final = 120.0
"""For all pieces together; those that are late are missing."""
SIDE_BY_SIDE: Final = 4


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The result of the pieces."""

    texts: dict[Piece, str]
    missing: dict[Piece, str]
    """Why each of these pieces is missing."""


def gather(pieces: Iterable[Piece], *, limit_seconds: float = LIMIT_SECONDS) -> Gathered:
    """Fetch all pieces, some side by side; a piece that fails or is late is missing, and stops no other."""
    pool = ThreadPoolExecutor(SIDE_BY_SIDE)
    asked = {piece: pool.submit(piece.fetch) for piece in pieces}
    wait(asked.values(), timeout=limit_seconds)
    pool.shutdown(wait=False, cancel_futures=True)
    texts, missing = {}, {}
    for piece, answer in asked.items():
        if why := _find_fault(answer, limit_seconds):
            missing[piece] = why
        else:
            texts[piece] = answer.result()
    return Gathered(texts=texts, missing=missing)


def publish(folder: Path, gathered: Gathered, *, head: Sequence[str], check: Callable[[Path], Sequence[str]]) -> None:
    """Write the folder beside its place, have it looked through, and put it there; nothing else ever shows.

    Args:
        folder: Where the bundle will be; not there yet.
        head: First lines of the index.
        check: Returns what is secret in a folder, in names and fingerprints; empty when nothing is.

    Raises:
        ConfigError: The folder is there already, or cannot be written.
        KinkyError: Something in the bundle is secret; nothing of it is left.
    """
    hidden = folder.with_name(f".{folder.name}.unchecked")
    try:
        check_place(folder)
        shutil.rmtree(hidden, ignore_errors=True)
        paths.make_folder(hidden, mode=paths.PRIVATE)
        texts = {piece.file: text for piece, text in gathered.texts.items()}
        for name, text in {**texts, INDEX: build_index(gathered, head)}.items():
            file = hidden / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        if found := check(hidden):
            raise KinkyError(
                f"the bundle would hold a secret; nothing of it is left: {folder}",
                details=found,
                hint="rotate what leaked, then make the bundle again",
            )
        hidden.rename(folder)
    except OSError as error:
        raise ConfigError(f"bundle: {paths.explain(error, folder).message}") from None
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def check_place(folder: Path) -> None:
    """Make sure that nothing is at the place of the bundle; raises ConfigError."""
    if folder.exists():
        raise ConfigError(f"bundle: {folder} is there already", hint="name a folder that does not exist yet")


def build_index(gathered: Gathered, head: Sequence[str]) -> str:
    """Return the page that lists every file, and every missing one with the reason."""
    lines = [*head, "", "| File | Holds |", "|---|---|"]
    lines += [f"| [{piece.file}]({piece.file}) | {piece.holds} |" for piece in sorted(gathered.texts, key=_by_file)]
    if gathered.missing:
        lines += ["", "## Missing", "| File | Holds | Why it is missing |", "|---|---|---|"]
        for piece in sorted(gathered.missing, key=_by_file):
            why = gathered.missing[piece].replace("\n", " ").replace("|", "\\|")
            lines.append(f"| {piece.file} | {piece.holds} | {why} |")
    return "\n".join(lines) + "\n"


def _by_file(piece: Piece) -> str:
    return piece.file


def _find_fault(answer: Future[str], limit_seconds: float) -> str:
    """Return why an answer cannot be used; empty when it can."""
    if not answer.done() or answer.cancelled():
        return f"it took longer than the {limit_seconds:.0f} s of all pieces"
    error = answer.exception()
    if error is None:
        return ""
    # The text of any other error may quote anything.
    return str(error) if isinstance(error, KinkyError | OSError) else type(error).__name__
