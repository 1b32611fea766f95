"""The container disk's checksum and archive."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
import zlib
from pathlib import Path

import pytest

from kinky.nodeimage import containerdisk, disk


@pytest.mark.parametrize("seed", range(12))
def test_padding_brings_the_checksum_below_the_limit(tmp_path: Path, seed: int) -> None:
    body = random.Random(seed).randbytes(3000)  # noqa: S311 - not a secret
    path = tmp_path / "disk"
    path.write_bytes(body)
    added = disk.pad_crc(path)
    padded = path.read_bytes()
    assert zlib.crc32(padded) < 1 << 31
    assert padded == body + bytes(512 * added)
    assert (added == 0) == (zlib.crc32(body) < 1 << 31)


def compress(layer: Path) -> Path:
    """Do with Python what zstd does, which a machine without `make image` may not have."""
    target = layer.with_suffix(".gz")
    target.write_bytes(gzip.compress(layer.read_bytes()))
    layer.unlink()
    return target


def test_archive_holds_the_disk_for_the_launcher_and_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containerdisk, "_compress", compress)
    image = tmp_path / "disk.qcow2"
    image.write_bytes(b"QFI\xfb")
    target = tmp_path / "image.tar"
    reference = "kinky.internal/node:v1"
    containerdisk.write_containerdisk(
        target, disk=image, record=b"{}", reference=reference, version="v1.36.3", content_hash="abc"
    )
    with tarfile.open(target) as archive:
        manifest = json.load(_member(archive, "manifest.json"))[0]
        config = json.load(_member(archive, manifest["Config"]))
        packed = _member(archive, manifest["Layers"][1]).read()
    plain = gzip.decompress(packed)
    with tarfile.open(fileobj=io.BytesIO(plain)) as layer:
        member = layer.getmember("disk/disk.qcow2")
    assert len(packed) < len(plain)
    assert config["rootfs"]["diff_ids"][1] == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    assert manifest["RepoTags"] == ["kinky.internal/node:v1"]
    assert config["config"]["Labels"] == {containerdisk.VERSION_LABEL: "v1.36.3", containerdisk.HASH_LABEL: "abc"}
    assert (member.uid, member.gid, member.size) == (107, 107, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.qcow2", "image.tar"]


def _member(archive: tarfile.TarFile, name: str):  # type: ignore[no-untyped-def]
    found = archive.extractfile(name)
    assert found is not None
    return found
