"""The node's disk as a containerDisk: a docker-archive whose only file is the qcow2, as KubeVirt expects it."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from kinky import process
from kinky.artefacts.images import Entry, write_tar
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
    files = Entry(PLACE, record, mode=0o440, owner=_QEMU), Entry("disk/disk.qcow2", disk, mode=0o440, owner=_QEMU)
    for layer, file in zip(layers.values(), files, strict=True):
        write_tar(layer, [Entry(str(PurePosixPath(file.path).parent), owner=_QEMU), file])
    diff_ids = [f"sha256:{hash_file(layer)}" for layer in layers.values()]
    layers["layer.tar"] = _compress(layers["layer.tar"])
    config = build_config(
        diff_ids=diff_ids,
        config={"Labels": {VERSION_LABEL: version, HASH_LABEL: content_hash}},
    )
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": list(layers)}]
    described = {"manifest.json": json.dumps(manifest).encode(), "config.json": config}
    entries = [Entry(name, text, mode=0o644) for name, text in described.items()]
    write_tar(target, [*entries, *(Entry(name, layer, mode=0o644) for name, layer in layers.items())])
    for layer in layers.values():
        layer.unlink()


def _compress(layer: Path) -> Path:
    """Return the compressed layer in the place of the plain one; who unpacks it finds out by its first bytes."""
    target = layer.with_suffix(".zst")
    command: list[str | Path] = ["zstd", "--quiet", "--rm", "-T0", layer, "-o", target]
    process.run(command, reason="compress the layer with the disk", hint="apt-get install zstd")
    return target
