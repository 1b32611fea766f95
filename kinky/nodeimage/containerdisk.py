"""The node's disk as a containerDisk: a docker-archive whose only file is the qcow2, as KubeVirt expects it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from kinky import process
from kinky.nodeimage.images import build_config
from kinky.nodeimage.recipe import hash_file
from kinky.nodeimage.record import PLACE

VERSION_LABEL = "dev.kinky.kubernetes-version"
HASH_LABEL = "dev.kinky.content-hash"
_QEMU = 107
"""User and group that KubeVirt's launcher runs as."""


def write_containerdisk(
    target: Path, *, disk: Path, record: bytes, reference: str, version: str, content_hash: str
) -> None:
    """Write the archive with the disk at /disk/disk.qcow2, its record, and labels that describe its content."""
    # The record has its own layer, the first, so a reader finds it without reading the disk.
    layers = {"record.tar": target.with_suffix(".record"), "layer.tar": target.with_suffix(".layer")}
    _write_layer(layers["record.tar"], PLACE, io.BytesIO(record), size=len(record))
    with disk.open("rb") as content:
        _write_layer(layers["layer.tar"], "disk/disk.qcow2", content, size=disk.stat().st_size)
    diff_ids = [f"sha256:{hash_file(layer)}" for layer in layers.values()]
    layers["layer.tar"] = _compress(layers["layer.tar"])
    config = build_config(
        diff_ids=diff_ids,
        config={"Labels": {VERSION_LABEL: version, HASH_LABEL: content_hash}},
    )
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": list(layers)}]
    with tarfile.open(target, "w") as archive:
        for name, body in (("manifest.json", json.dumps(manifest).encode()), ("config.json", config)):
            _add(archive, name, io.BytesIO(body), size=len(body))
        for name, layer in layers.items():
            with layer.open("rb") as content:
                _add(archive, name, content, size=layer.stat().st_size)
            layer.unlink()


def _write_layer(layer: Path, name: str, content: BinaryIO, *, size: int) -> None:
    """Write a layer with one file in one folder."""
    with tarfile.open(layer, "w") as archive:
        folder = tarfile.TarInfo(str(PurePosixPath(name).parent))
        folder.type = tarfile.DIRTYPE
        folder.mode = 0o755
        folder.uid = folder.gid = _QEMU
        archive.addfile(folder)
        _add(archive, name, content, size=size, mode=0o440, owner=_QEMU)


def _compress(layer: Path) -> Path:
    """Return the compressed layer in the place of the plain one; who unpacks it finds out by its first bytes."""
    target = layer.with_suffix(".zst")
    command: list[str | Path] = ["zstd", "--quiet", "--rm", "-T0", layer, "-o", target]
    process.run(command, reason="compress the layer with the disk", hint="apt-get install zstd")
    return target


def _add(
    archive: tarfile.TarFile, name: str, content: BinaryIO, *, size: int, mode: int = 0o644, owner: int = 0
) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, mode
    member.uid = member.gid = owner
    archive.addfile(member, content)
