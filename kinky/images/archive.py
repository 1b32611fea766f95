"""The content of an archive of container images, read before anything is sent: names, identities, processors, size.

Two forms are known: an OCI layout (`index.json`), also inside an archive of a newer `docker save`, and the older
`manifest.json` of `docker save` and `podman save`. containerd takes the first one if both are there, and so does this.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kinky.errors import KinkyError

MAKE_HINT: Final = "docker save IMAGE --output FILE.tar makes one"
PLATFORM: Final = ("linux", "amd64")
NAMES: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
"""Annotations with an image's name, the first one first."""
DOCKER_HUB: Final = "docker.io"
INDEX_TYPES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
METADATA_BYTES: Final = 4 << 20
"""Manifests and configurations are small; a larger file is not one."""


@dataclass(frozen=True, kw_only=True)
class ArchivedImage:
    """One image of an archive."""

    name: str
    """Its name as containerd keeps it; empty if the archive has none."""
    manifest: str
    """Digest under which containerd keeps the name; empty for the older form, whose manifest containerd writes."""
    config: str
    """Digest of the configuration; empty for an image of several platforms."""


@dataclass(frozen=True, kw_only=True)
class ImageArchive:
    """An archive that can be loaded."""

    path: Path
    images: tuple[ArchivedImage, ...]
    content_bytes: int
    """Bytes of all files in it, without the compression of the archive itself."""


def read_archive(path: Path) -> ImageArchive:
    """Read what an archive holds.

    Raises:
        KinkyError: It is no archive of images, it is cut off, or it is for other processors.
    """
    try:
        if not tarfile.is_tarfile(path):
            raise KinkyError(f"{path} is no tar archive", hint=MAKE_HINT)
        with tarfile.open(path) as archive:
            files = _list_files(path, archive)
            images = tuple(_find_images(path, archive, files))
    except (tarfile.TarError, EOFError) as error:
        raise KinkyError(f"{path} is cut off or damaged: {type(error).__name__}", hint="make it again") from None
    except OSError as error:
        raise KinkyError(
            f"{path}: {error.strerror or 'damaged'}", hint="kinky load ARCHIVE: give a file of docker save"
        ) from None
    return ImageArchive(path=path, images=images, content_bytes=sum(member.size for member in files.values()))


def _list_files(path: Path, archive: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """Return the files by their names; the last one's content must be there too."""
    members = archive.getmembers()
    last = max((member for member in members if member.isfile()), key=lambda member: member.offset_data, default=None)
    if last is not None and last.size:
        content = archive.extractfile(last)
        assert content is not None  # noqa: S101 - it is a file
        content.seek(last.size - 1)
        if len(content.read(1)) != 1:
            raise KinkyError(f"{path} is cut off: {last.name} is not whole", hint="make it again")
    return {member.name.removeprefix("./"): member for member in members if member.isfile()}


def _find_images(path: Path, archive: tarfile.TarFile, files: Mapping[str, tarfile.TarInfo]) -> Iterator[ArchivedImage]:
    def read(name: str) -> Any:
        member = files.get(name)
        if member is None or member.size > METADATA_BYTES:
            raise KinkyError(f"{path} is damaged: it holds no {name}", hint="make it again")
        content = archive.extractfile(member)
        try:
            return json.loads(content.read() if content else b"")
        except ValueError:
            raise KinkyError(f"{path} is damaged: {name} is not JSON", hint="make it again") from None

    def read_blob(digest: str) -> Any:
        return read(f"blobs/{digest.replace(':', '/')}")

    try:
        if "index.json" in files:
            yield from (_read_oci(path, entry, read_blob) for entry in read("index.json")["manifests"])
        elif "manifest.json" in files:
            for entry in read("manifest.json"):
                yield from _read_docker(path, entry, read)
        else:
            raise KinkyError(f"{path} holds no images: neither index.json nor manifest.json", hint=MAKE_HINT)
    except (KeyError, TypeError, AttributeError):
        raise KinkyError(f"{path} is damaged: its manifests have another form", hint="make it again") from None


def _read_oci(path: Path, entry: Any, read_blob: Any) -> ArchivedImage:
    digest, annotations = str(entry["digest"]), entry.get("annotations") or {}
    name = next((str(annotations[key]) for key in NAMES if annotations.get(key)), "")
    # A tag alone is no name: containerd invents one then.
    name = name if "/" in name or ":" in name else ""
    if entry.get("mediaType") in INDEX_TYPES:
        return ArchivedImage(name=name, manifest=digest, config="")
    config = str(read_blob(digest)["config"]["digest"])
    _check_platform(path, name or digest, read_blob(config))
    return ArchivedImage(name=name, manifest=digest, config=config)


def _read_docker(path: Path, entry: Any, read: Any) -> Iterator[ArchivedImage]:
    file = str(entry["Config"])
    tags = [_complete(str(tag)) for tag in entry.get("RepoTags") or [""]]
    _check_platform(path, tags[0] or file, read(file))
    digest = f"sha256:{Path(file).name.removesuffix('.json')}"
    yield from (ArchivedImage(name=tag, manifest="", config=digest) for tag in tags)


def _complete(tag: str) -> str:
    """Return a tag with its registry, as containerd completes it."""
    first, slash, _ = tag.partition("/")
    if not tag or (slash and ("." in first or ":" in first or first == "localhost")):
        return tag
    return f"{DOCKER_HUB}/{tag}" if slash else f"{DOCKER_HUB}/library/{tag}"


def _check_platform(path: Path, image: str, config: Any) -> None:
    seen = (str(config.get("os", "")), str(config.get("architecture", "")))
    if seen != PLATFORM:
        raise KinkyError(
            f"{path}: {image} is for {'/'.join(seen)}, the nodes are {'/'.join(PLATFORM)}",
            hint="docker build --platform linux/amd64",
        )
