"""The node's disk: partitions put together in one raw file, then made a qcow2."""

from __future__ import annotations

import uuid
import zlib
from pathlib import Path

from kinky import process
from kinky.nodeimage import boot, gpt

_MIB = 1 << 20
_ESP_BYTES = 64 * _MIB
_CRC_LIMIT = 1 << 31
_CHUNK = 4 * _MIB
# GRUB reads this partition, and it is never written: no journal, and nothing that GRUB's driver does not know.
_FEATURES = "^has_journal,^metadata_csum,^64bit,^metadata_csum_seed,^orphan_file,^resize_inode"


def build_disk(root: Path, *, target: Path, seed: str, scratch: Path) -> None:
    """Write the bootable qcow2 of a root file system; identifiers follow from the seed."""
    boot.build_initrd(root, scratch=scratch)
    core = boot.build_grub_core(root, scratch=scratch)
    esp = scratch / "esp.img"
    boot.build_esp(root, target=esp, size=_ESP_BYTES, scratch=scratch)
    system = scratch / "root.img"
    _build_root(root, target=system, seed=seed)
    raw = scratch / "disk.raw"
    partitions = gpt.lay_out(
        [
            ("bios-boot", gpt.TYPE_BIOS_BOOT, _MIB),
            ("esp", gpt.TYPE_ESP, _ESP_BYTES),
            ("kinky-root", gpt.TYPE_LINUX_ROOT, system.stat().st_size),
        ]
    )
    first = partitions[0].first
    with raw.open("wb+") as disk:
        disk.truncate(gpt.disk_sectors(partitions) * gpt.SECTOR)
        gpt.write_table(disk, partitions, seed=seed)
        disk.seek(0)
        mbr = disk.read(gpt.SECTOR)
        disk.seek(0)
        disk.write(gpt.patch_boot_sector(mbr, (boot.GRUB / "boot.img").read_bytes(), core_first=first))
        disk.seek(first * gpt.SECTOR)
        disk.write(gpt.patch_core(core, core_first=first))
    for partition, source in zip(partitions[1:], (esp, system), strict=True):
        place = f"seek={partition.first * gpt.SECTOR}"
        process.run(
            [
                *("dd", f"if={source}", f"of={raw}", place),
                *("bs=1M", "oflag=seek_bytes", "conv=notrunc,sparse", "status=none"),
            ],
            reason=f"write partition {partition.name}",
        )
    # Not compressed: each node would decompress it at each start, 2.5 s of a processor. The archive's layer is.
    process.run(
        ["qemu-img", "convert", "-O", "qcow2", "-m", "4", "-W", raw, target],
        reason="make the qcow2",
        hint="apt-get install qemu-utils",
    )
    pad_crc(target)
    for leftover in (raw, esp, system):
        leftover.unlink()


def pad_crc(path: Path) -> int:
    """Append zero sectors until the file's CRC-32 is below 2^31 and return how many.

    KubeVirt writes the checksum of a container disk into an int32 field; above the limit a VM never leaves Scheduled.
    """
    checksum = 0
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    added = 0
    with path.open("ab") as handle:
        while checksum >= _CRC_LIMIT:
            checksum = zlib.crc32(bytes(gpt.SECTOR), checksum)
            handle.write(bytes(gpt.SECTOR))
            added += 1
    return added


def _build_root(root: Path, *, target: Path, seed: str) -> None:
    used = sum(_blocks(path) for path in root.rglob("*"))
    # Room for inodes and tables; the file system is read-only, so nothing more.
    size = used + used // 12 + 32 * _MIB
    with target.open("wb") as handle:
        handle.truncate(size // _MIB * _MIB)
    identifier = str(uuid.uuid5(uuid.NAMESPACE_OID, seed))
    process.run(
        [
            *("mke2fs", "-q", "-F", "-t", "ext4", "-L", "kinky-root", "-U", identifier),
            *("-O", _FEATURES, "-m", "0", "-i", "16384"),
            *("-E", f"hash_seed={identifier},lazy_itable_init=0,nodiscard", "-d", root, target),
        ],
        reason="write the root partition",
        hint="apt-get install e2fsprogs",
    )


def _blocks(path: Path) -> int:
    """Return the bytes that a path takes in 4 KiB blocks."""
    return -(-path.lstat().st_size // 4096) * 4096
