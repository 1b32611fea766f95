"""Container images written by hand as one archive, without a registry or a container engine.

An archive is an OCI image layout in a tar: images that share a layer carry it once. Layers are plain tars with fixed
times and owners, so the same files give the same digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 1 << 20
CAP_NET_BIND_SERVICE = 10


@dataclass(frozen=True)
class Entry:
    """One path of a layer: a file with its content or source, a symbolic link, or (with neither) a directory."""

    path: str
    source: Path | bytes | None = None
    link: str | None = None
    mode: int = 0o755
    owner: int = 0
    capability: int | None = None


@dataclass(frozen=True)
class Image:
    """One image: its full reference, its layers from the lowest, how it is started."""

    reference: str
    layers: tuple[Path, ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    labels: tuple[tuple[str, str], ...] = ()


def write_tar(path: Path, entries: Iterable[Entry]) -> None:
    """Write a layer, or an archive, with the entries in the given order."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as layer:
        for entry in entries:
            _add(layer, entry)


def write_archive(path: Path, images: Sequence[Image]) -> None:
    """Write the images as one OCI layout; a layer used by several is written once."""
    index: dict[str, object] = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}
    digests = {layer: _digest(layer) for image in images for layer in image.layers}
    with tarfile.open(path, "w") as archive:
        _add(archive, Entry("oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode(), mode=0o644))
        for digest, layer in {digest: layer for layer, digest in digests.items()}.items():
            _add(archive, Entry(f"blobs/sha256/{digest}", layer, mode=0o644))
        index["manifests"] = [_add_image(archive, image, digests) for image in images]
        _add(archive, Entry("index.json", json.dumps(index).encode(), mode=0o644))


def read_file(layer: Path, name: str) -> bytes:
    """Return the content of a file of a layer that mmdebstrap wrote; raises KeyError if there is no such file."""
    with tarfile.open(layer) as archive:
        content = archive.extractfile(f"./{name}")
        if content is None:
            raise KeyError(name)
        return content.read()


def add_accounts(base: Path, *, passwd: str, group: str) -> list[Entry]:
    """Return the base layer's list of users and its list of groups, each with these lines at its end."""
    return [
        Entry(f"etc/{name}", read_file(base, f"etc/{name}") + more.encode(), mode=0o644)
        for name, more in (("passwd", passwd), ("group", group))
    ]


def file_capability(number: int) -> bytes:
    """Return the attribute security.capability that permits one capability and makes it effective."""
    effective, revision = 0x000001, 0x02000000
    low, high = (1 << number) & 0xFFFFFFFF, (1 << number) >> 32
    return struct.pack("<IIIII", revision | effective, low, 0, high, 0)


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode, info.uid, info.gid = entry.mode, entry.owner, entry.owner
    if entry.capability is not None:
        # Extended attributes are bytes; the header is text in which surrogates stand for what is not UTF-8.
        value = file_capability(entry.capability).decode("utf-8", "surrogateescape")
        info.pax_headers = {"SCHILY.xattr.security.capability": value}
    if entry.link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
        archive.addfile(info)
    elif isinstance(entry.source, bytes):
        info.size = len(entry.source)
        archive.addfile(info, io.BytesIO(entry.source))
    elif entry.source is not None:
        with entry.source.open("rb") as content:
            info.size = entry.source.stat().st_size
            archive.addfile(info, content)
    else:
        info.type = tarfile.DIRTYPE
        archive.addfile(info)


def _add_image(archive: tarfile.TarFile, image: Image, digests: dict[Path, str]) -> dict[str, object]:
    """Write configuration and manifest of one image; return its line in the index."""
    configuration = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": list(image.entrypoint),
            "Cmd": list(image.command),
            "User": image.user,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Labels": dict(image.labels),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digests[layer]}" for layer in image.layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _add_blob(archive, configuration, "application/vnd.oci.image.config.v1+json"),
        "layers": [
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": f"sha256:{digests[layer]}",
                "size": layer.stat().st_size,
            }
            for layer in image.layers
        ],
    }
    described = _add_blob(archive, manifest, "application/vnd.oci.image.manifest.v1+json")
    return {
        **described,
        "platform": {"architecture": "amd64", "os": "linux"},
        "annotations": {
            "io.containerd.image.name": image.reference,
            "org.opencontainers.image.ref.name": image.reference.rpartition(":")[2],
        },
    }


def _add_blob(archive: tarfile.TarFile, content: object, media_type: str) -> dict[str, object]:
    text = json.dumps(content, sort_keys=True).encode()
    digest = hashlib.sha256(text).hexdigest()
    _add(archive, Entry(f"blobs/sha256/{digest}", text, mode=0o644))
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(text)}


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
