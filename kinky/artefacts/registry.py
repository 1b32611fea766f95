"""Images in a registry: pushed from an archive, and read layer by layer, both by the program crane.

crane verifies TLS and each digest, and takes the user's account from the Docker configuration, so no credential passes
through KinKy.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, Final

from kinky import process
from kinky.config.archive import UNREADABLE, read_images
from kinky.errors import KinkyError

SMALL: Final = 32 * 1024 * 1024
"""Bytes of the largest layer that is read: a disk is larger, and nobody reads it here."""
PUSH_SECONDS: Final = 3600.0
READ_SECONDS: Final = 120.0
_TYPE: Final = "application/vnd.oci.image"
_COMPRESSED: Final = {b"\x1f\x8b": "+gzip", b"\x28\xb5\x2f\xfd": "+zstd"}
"""First bytes of a layer, and how its media type ends then."""
_HINT: Final = "look at the name, and log in with: crane auth login REGISTRY, or docker login REGISTRY"


def push(archive: Path, reference: str, *, crane: Path) -> str:
    """Push the one image of an archive and return its reference with the digest.

    Raises:
        KinkyError: The archive cannot be read or holds several images.
        CommandError: The registry did not take it.
    """
    with TemporaryDirectory(prefix="kinky-push-") as folder:
        layout = Path(folder)
        try:
            write_layout(archive, layout)
        except UNREADABLE as error:
            raise KinkyError(
                f"{archive}: not a readable archive of one image: {error}",
                hint="kinky image show names the archive that was built last",
            ) from None
        return process.run(
            [crane, "push", layout, reference],
            reason=f"push the image to {reference}",
            hint=_HINT,
            timeout_seconds=PUSH_SECONDS,
        ).strip()


def write_layout(archive: Path, folder: Path) -> None:
    """Write the image of an archive as an OCI layout; raises one of UNREADABLE.

    From the archive itself crane would take all layers to be compressed as the first one is.
    """
    (folder / "blobs/sha256").mkdir(parents=True)
    with tarfile.open(archive) as content:
        image, *others = read_images(content)
        if others:
            raise ValueError(f"it holds {len(others) + 1} images")
        layers = []
        for name in image.layers:
            stream = content.extractfile(name)
            if stream is None:
                raise ValueError(f"{name} is not a file")
            with stream:
                layers.append(_write_layer(folder, stream))
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_TYPE}.manifest.v1+json",
        "config": _write_json(folder, f"{_TYPE}.config.v1+json", image.config),
        "layers": layers,
    }
    index = {"schemaVersion": 2, "manifests": [_write_json(folder, f"{_TYPE}.manifest.v1+json", manifest)]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))


def read_small_layers(reference: str, *, crane: Path) -> Iterator[bytes]:
    """Yield the layers of an image in a registry that are not large, the lowest first, as they lie there.

    Raises:
        KinkyError: The registry's answer is not the manifest of an image.
        CommandError: The registry did not answer, or does not have the image.
    """
    command: list[str | Path] = [crane, "manifest", "--platform", "linux/amd64", reference]
    answer = process.run(command, reason=f"find {reference}", hint=_HINT, timeout_seconds=READ_SECONDS)
    try:
        found = [str(each["digest"]) for each in json.loads(answer)["layers"] if each["size"] <= SMALL]
    except (LookupError, TypeError, ValueError):
        raise KinkyError(
            f"{reference}: the registry's answer is not the manifest of an image for linux/amd64", hint=_HINT
        ) from None
    for digest in found:
        with TemporaryFile() as output:
            process.run(
                [crane, "blob", f"{_without_tag(reference)}@{digest}"],
                reason=f"read a layer of {reference}",
                hint=_HINT,
                timeout_seconds=READ_SECONDS,
                output=output,
            )
            output.seek(0)
            yield output.read()


def _without_tag(reference: str) -> str:
    """Return the repository of a reference; a colon before the last slash belongs to a port."""
    name = reference.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def _write_layer(folder: Path, stream: IO[bytes]) -> dict[str, Any]:
    target = folder / "blobs/sha256/unnamed"
    with target.open("wb") as copy:
        shutil.copyfileobj(stream, copy, 1024 * 1024)
    with target.open("rb") as copy:
        start = copy.read(4)
        copy.seek(0)
        digest = hashlib.file_digest(copy, "sha256").hexdigest()
    size = target.stat().st_size
    target.rename(target.with_name(digest))
    kind = next((suffix for magic, suffix in _COMPRESSED.items() if start.startswith(magic)), "")
    return {"mediaType": f"{_TYPE}.layer.v1.tar{kind}", "digest": f"sha256:{digest}", "size": size}


def _write_json(folder: Path, kind: str, value: Any) -> dict[str, Any]:
    body = json.dumps(value).encode()
    digest = hashlib.sha256(body).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(body)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(body)}
