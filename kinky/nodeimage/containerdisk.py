"""The node's disk as a containerDisk: a docker-archive whose only file is the qcow2, as KubeVirt expects it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from kinky.nodeimage.images import build_config

VERSION_LABEL = "dev.kinky.kubernetes-version"
HASH_LABEL = "dev.kinky.content-hash"
_QEMU = 107
"""User and group that KubeVirt's launcher runs as."""


def write_containerdisk(target: Path, *, disk: Path, reference: str, version: str, content_hash: str) -> None:
    """Write the archive with the disk at /disk/disk.qcow2, and labels that say what is inside."""
    layer = target.with_suffix(".layer")
    with tarfile.open(layer, "w") as archive:
        folder = tarfile.TarInfo("disk")
        folder.type = tarfile.DIRTYPE
        folder.mode = 0o755
        _own(folder)
        archive.addfile(folder)
        member = tarfile.TarInfo("disk/disk.qcow2")
        member.mode = 0o440
        member.size = disk.stat().st_size
        _own(member)
        with disk.open("rb") as content:
            archive.addfile(member, content)
    with layer.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    config = build_config(
        diff_ids=[f"sha256:{digest}"], config={"Labels": {VERSION_LABEL: version, HASH_LABEL: content_hash}}
    )
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w") as archive:
        for name, body in (("manifest.json", json.dumps(manifest).encode()), ("config.json", config)):
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
        member = tarfile.TarInfo("layer.tar")
        member.size = layer.stat().st_size
        with layer.open("rb") as content:
            archive.addfile(member, content)
    layer.unlink()


def _own(member: tarfile.TarInfo) -> None:
    member.uid = member.gid = _QEMU
