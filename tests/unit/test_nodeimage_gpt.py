"""The hand-written partition table and boot sectors, byte by byte."""

from __future__ import annotations

import io
import struct
import zlib

from kinky.nodeimage import gpt

PARTITIONS = gpt.lay_out(
    [
        ("bios-boot", gpt.TYPE_BIOS_BOOT, 1 << 20),
        ("esp", gpt.TYPE_ESP, 64 << 20),
        ("root", gpt.TYPE_LINUX_ROOT, 5_000_000),
    ]
)


def _written(seed: str = "seed") -> bytes:
    disk = io.BytesIO()
    gpt.write_table(disk, PARTITIONS, seed=seed)
    return disk.getvalue()


def test_partitions_follow_each_other_on_mebibytes() -> None:
    assert [partition.first for partition in PARTITIONS] == [2048, 4096, 4096 + 131072]
    assert all(partition.sectors % gpt.ALIGN == 0 for partition in PARTITIONS)
    assert PARTITIONS[2].sectors * gpt.SECTOR >= 5_000_000


def test_disk_has_room_for_the_backup_table() -> None:
    assert gpt.disk_sectors(PARTITIONS) - PARTITIONS[-1].last - 1 >= 33


def test_both_headers_carry_valid_checksums_and_point_at_each_other() -> None:
    disk = _written()
    last = gpt.disk_sectors(PARTITIONS) - 1
    for own, other in ((1, last), (last, 1)):
        header = disk[own * gpt.SECTOR : own * gpt.SECTOR + 92]
        stored = struct.unpack_from("<I", header, 16)[0]
        assert header[:8] == b"EFI PART"
        assert stored == zlib.crc32(header[:16] + bytes(4) + header[20:])
        assert struct.unpack_from("<QQ", header, 24) == (own, other)
        table = struct.unpack_from("<Q", header, 72)[0]
        entries = disk[table * gpt.SECTOR : (table + 32) * gpt.SECTOR]
        assert struct.unpack_from("<I", header, 88)[0] == zlib.crc32(entries)


def test_protective_mbr_covers_the_disk() -> None:
    mbr = _written()[: gpt.SECTOR]
    assert mbr[510:] == b"\x55\xaa"
    assert mbr[450] == 0xEE
    assert struct.unpack_from("<I", mbr, 458)[0] == gpt.disk_sectors(PARTITIONS) - 1


def test_identifiers_follow_from_the_seed() -> None:
    assert _written("a") == _written("a")
    assert _written("a") != _written("b")


def test_boot_sector_knows_the_core_and_keeps_the_partition_entries() -> None:
    mbr = bytes(446) + b"P" * 64 + b"\x55\xaa"
    patched = gpt.patch_boot_sector(mbr, bytes([1]) * gpt.SECTOR, core_first=2048)
    assert struct.unpack_from("<Q", patched, 0x5C)[0] == 2048
    assert patched[0x66:0x68] == b"\x90\x90"
    assert patched[446:510] == b"P" * 64
    assert len(patched) == gpt.SECTOR


def test_core_says_where_its_other_sectors_are() -> None:
    patched = gpt.patch_core(b"c" * 1100, core_first=2048)
    assert len(patched) == 3 * gpt.SECTOR
    assert struct.unpack_from("<QHH", patched, 0x1F4) == (2049, 2, 0x820)
