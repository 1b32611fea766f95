"""A partition table and BIOS GRUB, written by hand: no loop device, no chroot, the same bytes for the same input."""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

SECTOR = 512
ALIGN = 2048
"""Sectors (1 MiB): where the first partition starts and what all are aligned to."""

TYPE_BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
TYPE_ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
TYPE_LINUX_ROOT = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
_ENTRIES = 128
_ENTRY_BYTES = 128
_TABLE_SECTORS = _ENTRIES * _ENTRY_BYTES // SECTOR


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition; first sector and length in sectors of 512 bytes."""

    name: str
    type_id: str
    first: int
    sectors: int

    @property
    def last(self) -> int:
        """Return the last sector, which belongs to the partition."""
        return self.first + self.sectors - 1


def lay_out(sizes: Sequence[tuple[str, str, int]]) -> tuple[Partition, ...]:
    """Return partitions one after the other, aligned, for (name, type, bytes) in order."""
    partitions = []
    first = ALIGN
    for name, type_id, size in sizes:
        sectors = align(-(-size // SECTOR))
        partitions.append(Partition(name=name, type_id=type_id, first=first, sectors=sectors))
        first += sectors
    return tuple(partitions)


def disk_sectors(partitions: Sequence[Partition]) -> int:
    """Return the disk's length in sectors, with room for the backup table."""
    return align(partitions[-1].last + 1 + _TABLE_SECTORS + 1)


def align(sectors: int) -> int:
    """Return the next multiple of the alignment."""
    return -(-sectors // ALIGN) * ALIGN


def write_table(disk: BinaryIO, partitions: Sequence[Partition], *, seed: str) -> None:
    """Write the protective MBR and both partition tables; identifiers follow from the seed."""
    total = disk_sectors(partitions)
    entries = b"".join(_entry(partition, seed) for partition in partitions).ljust(_ENTRIES * _ENTRY_BYTES, b"\0")
    disk_id = _identifier(seed, "disk").bytes_le
    disk.seek(0)
    disk.write(_protective_mbr(total))
    disk.write(_header(entries, disk_id, own=1, other=total - 1, table=2, total=total))
    disk.seek(2 * SECTOR)
    disk.write(entries)
    disk.seek((total - 1 - _TABLE_SECTORS) * SECTOR)
    disk.write(entries)
    disk.write(_header(entries, disk_id, own=total - 1, other=1, table=total - 1 - _TABLE_SECTORS, total=total))


def patch_boot_sector(mbr: bytes, boot: bytes, *, core_first: int) -> bytes:
    """Return the MBR with GRUB's boot.img, told where core.img starts; the partition entries stay."""
    code = bytearray(boot[:0x1B8])
    struct.pack_into("<Q", code, 0x5C, core_first)
    # Two no-ops instead of a jump: trust the BIOS's drive number, as grub-install does on hard disks.
    code[0x66:0x68] = b"\x90\x90"
    return bytes(code) + mbr[0x1B8:]


def patch_core(core: bytes, *, core_first: int) -> bytes:
    """Return core.img, padded to sectors, whose first sector says where the others are and to load them at 0x8200."""
    padded = core.ljust(-(-len(core) // SECTOR) * SECTOR, b"\0")
    block_list = struct.pack("<QHH", core_first + 1, len(padded) // SECTOR - 1, 0x820)
    return padded[:0x1F4] + block_list + padded[0x200:]


def _entry(partition: Partition, seed: str) -> bytes:
    return struct.pack(
        "<16s16sQQQ72s",
        uuid.UUID(partition.type_id).bytes_le,
        _identifier(seed, partition.name).bytes_le,
        partition.first,
        partition.last,
        0,
        partition.name.encode("utf-16-le"),
    )


def _header(entries: bytes, disk_id: bytes, *, own: int, other: int, table: int, total: int) -> bytes:
    first_usable, last_usable = 2 + _TABLE_SECTORS, total - 2 - _TABLE_SECTORS

    def packed(checksum: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII",
            b"EFI PART", 0x00010000, 92, checksum, 0, own, other, first_usable, last_usable, disk_id,
            table, _ENTRIES, _ENTRY_BYTES, zlib.crc32(entries),
        )  # fmt: skip

    return packed(zlib.crc32(packed(0))).ljust(SECTOR, b"\0")


def _protective_mbr(total: int) -> bytes:
    entry = struct.pack("<B3sB3sII", 0, b"\0\x02\0", 0xEE, b"\xff\xff\xff", 1, min(total - 1, 0xFFFFFFFF))
    return b"\0" * 446 + entry + b"\0" * 48 + b"\x55\xaa"


def _identifier(seed: str, name: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{seed}/{name}")
