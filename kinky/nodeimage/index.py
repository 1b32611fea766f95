"""The records of node images that this machine knows, each by the reference that a stack file names.

An image is built once, on one machine; `pulumi up` on another machine needs its record, but
not its disk. So a machine can read the record from a registry that has the image, and from any archive of it.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from kinky import names, paths
from kinky.config.archive import UNREADABLE, read_images
from kinky.errors import KinkyError
from kinky.nodeimage.record import PLACE, Record, parse_record
from kinky.progress import note


def find_record(
    reference: str, *, archive: Path | None = None, layers: Callable[[str], Iterable[bytes]] | None = None
) -> Record:
    """Return the record of an image by its reference.

    Args:
        archive: Where to look when this machine does not know the reference.
        layers: How to read the small layers of an image in a registry; the last place to look.

    Raises:
        KinkyError: The image is not known, or its record is damaged.
    """
    known = _place(reference)
    if known.is_file():
        try:
            return parse_record(known.read_bytes())
        except UNREADABLE as error:
            raise KinkyError(
                f"node image {reference}: its record cannot be read: {known}: {_describe(error)}",
                hint=f"kinky image add ARCHIVE --reference {reference} writes it again",
            ) from None
    if archive is not None:
        return parse_record(read_archive(archive, reference=reference)[0])
    answer = "there is no crane to ask it"
    if layers is not None:
        try:
            return parse_record(read_layers(reference, layers(reference)))
        except KinkyError as error:
            answer = "; ".join([error.message, *error.details])
    raise KinkyError(
        f"node image {reference}: this machine has no record of it",
        details=[f"known here: {', '.join(list_records()) or 'no image'}", f"its registry: {answer}"],
        hint=f"kinky image pull {reference} reads it from the registry; kinky image add ARCHIVE --reference "
        f"{reference} and image.archive in the stack file read it from an archive",
    )


def list_records() -> dict[str, Record]:
    """Return the records on this machine, by reference; a damaged record is left out."""
    found = {}
    for file in sorted(_folder().glob("*.json")):
        try:
            text = file.read_bytes()
            found[str(json.loads(text)["reference"])] = parse_record(text)
        except UNREADABLE:
            continue
    return dict(sorted(found.items()))


def add_archive(archive: Path, *, reference: str | None = None) -> list[str]:
    """Record the image of an archive by its names there, or by this reference, and return the names.

    Raises:
        KinkyError: The archive cannot be read, holds no node image, or no name is known for it.
    """
    record, named = read_archive(archive, reference=reference)
    references = [reference] if reference else named
    if not references:
        raise KinkyError(f"{archive}: the archive does not name its image", hint="name it: --reference REF")
    for each in references:
        save_record(each, record)
    return references


def save_record(reference: str, record: bytes) -> None:
    """Store the record of an image by a reference; a note reports the replacement of another image.

    Raises:
        KinkyError: The cache cannot be written.
    """
    before = list_records().get(reference)
    new = parse_record(record)
    if before is not None and before.content_hash != new.content_hash:
        old = before.content_hash[: names.FINGERPRINT_LENGTH]
        note(f"node image {reference}: was {old}, is {new.content_hash[: names.FINGERPRINT_LENGTH]} now")
    place = _place(reference)
    staged = place.with_suffix(f".{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(json.dumps({**json.loads(record), "reference": reference}))
        # Other users read the cache, whatever the umask of this process is.
        place.parent.chmod(0o755)
        staged.chmod(0o644)
        staged.replace(place)
    except OSError as error:
        raise KinkyError(
            f"node image {reference}: its record cannot be written: {place}: {error.strerror}",
            hint="set KINKY_CACHE_DIR to a folder of your own, or name the archive in image.archive of the stack file",
        ) from None


def read_archive(archive: Path, *, reference: str | None = None) -> tuple[bytes, list[str]]:
    """Read the record of the node image in an archive, and the names that the archive gives it.

    Args:
        reference: Which one is meant, if the archive holds several.

    Raises:
        KinkyError: It is not an archive of a node image, or it holds several without this name.
    """
    try:
        with tarfile.open(archive) as content:
            found = list(_find_records(content))
    except UNREADABLE as error:
        raise KinkyError(f"{archive}: not a readable image archive: {_describe(error)}", hint=_HINT) from None
    chosen = [each for each in found if reference in each[1]] or found
    if not chosen:
        raise KinkyError(f"{archive}: holds no node image with a record", hint=_HINT)
    if len({text for text, _ in chosen}) > 1:
        raise KinkyError(
            f"{archive}: holds several node images",
            details=[", ".join(tags) or "an image without a name" for _, tags in chosen],
            hint="name one of them: --reference REF",
        )
    return chosen[0][0], sorted({tag for _, tags in chosen for tag in tags})


def read_layers(reference: str, layers: Iterable[bytes]) -> bytes:
    """Return the record that one of these layers of an image holds.

    Raises:
        KinkyError: It is in none of them, or it is damaged.
    """
    for layer in layers:
        try:
            with tarfile.open(fileobj=io.BytesIO(layer)) as files:
                record = _pick_record(files)
            if record is not None:
                parse_record(record)
                return record
        except UNREADABLE as error:
            raise KinkyError(
                f"node image {reference}: its record cannot be read: {_describe(error)}", hint=_PUSH_HINT
            ) from None
    raise KinkyError(f"node image {reference}: the image in the registry has no record", hint=_PUSH_HINT)


_PUSH_HINT: Final = "kinky image push REFERENCE, where the image was built, puts image and record there"
_HINT: Final = "kinky image build makes such an image; docker save, podman save and skopeo write archives of it"


def _find_records(content: tarfile.TarFile) -> Iterator[tuple[bytes, list[str]]]:
    """Yield the record of each node image of an archive, with its names; raises one of UNREADABLE."""
    for image in read_images(content):
        text = next((text for layer in image.layers if (text := _read_record(content, layer))), None)
        if text is not None:
            parse_record(text)
            yield text, list(image.tags)


def _read_record(content: tarfile.TarFile, layer: str) -> bytes | None:
    """Return the record if it is in this layer; a layer may be compressed."""
    with _open(content, layer) as stream, tarfile.open(fileobj=stream) as files:
        return _pick_record(files)


def _pick_record(files: tarfile.TarFile) -> bytes | None:
    member = next((each for each in files if each.name.removeprefix("./") == PLACE), None)
    return _open(files, member).read() if member else None


def _open(content: tarfile.TarFile, member: str | tarfile.TarInfo) -> IO[bytes]:
    stream = content.extractfile(member)
    if stream is None:
        raise ValueError(f"{member} is not a file")
    return stream


def _describe(error: Exception) -> str:
    told = error.strerror if isinstance(error, OSError) else str(error)
    return told or type(error).__name__


def _place(reference: str) -> Path:
    return _folder() / f"{names.content_hash(reference.encode())[:16]}.json"


def _folder() -> Path:
    return paths.node_image_dir() / "references"
