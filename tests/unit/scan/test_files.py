"""Reading files: sparse disks, borders of pieces, folders that others write to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kinky.scan import files
from kinky.scan.artefact import Artefact
from kinky.scan.files import OVERLAP_BYTES, PIECE_BYTES, find_files, find_processes, read_pieces
from kinky.scan.kind import Kind
from kinky.scan.scanner import Findings
from kinky.scan.search import Needles
from tests.unit.scan import plants
from tests.unit.scan.plants import RAW, VALUE


def found_in(artefacts: list[Artefact]) -> tuple[set[str], Findings]:
    findings = Findings()
    findings.scan(artefacts, [Needles([VALUE]).search])
    return {artefact.name for artefact, _ in findings.hits}, findings


@pytest.mark.parametrize(
    "offset",
    [0, PIECE_BYTES - len(RAW) // 2, PIECE_BYTES - 1, PIECE_BYTES - OVERLAP_BYTES, (1 << 40) - len(RAW)],
    ids=["start", "across", "last byte", "overlap", "end"],
)
def test_a_sparse_disk_is_searched_to_its_end_without_its_holes(offset: int, tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    # Data on both sides of the border between two pieces, so that the border lies in data and not in a hole.
    around = {PIECE_BYTES - 4096: os.urandom(8192), 3 << 30: b"far away"}
    plants.make_sparse(disk, {0: os.urandom(PIECE_BYTES), **around, offset: RAW})
    names, findings = found_in(list(find_files(Kind.PATH, disk, base=tmp_path)))
    assert names == {"disk.img"}
    assert findings.bytes < 3 * PIECE_BYTES


def test_a_file_of_several_pieces_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PIECE_BYTES", 100)
    monkeypatch.setattr(files, "OVERLAP_BYTES", 30)
    content = os.urandom(1234)
    path = tmp_path / "file"
    path.write_bytes(content)
    pieces = list(read_pieces(path))
    assert pieces[0] + b"".join(piece[30:] for piece in pieces[1:]) == content


@pytest.mark.parametrize("content", [b"", b"x"])
def test_small_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert b"".join(read_pieces(tmp_path / "file")) == content


def test_a_folder_is_searched_without_links_and_without_what_is_skipped(tmp_path: Path) -> None:
    for name in ("a/one", "a/b/two", "skipped/three"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(RAW)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "skipped" / "three")
    (tmp_path / "a" / "folder").symlink_to(tmp_path / "skipped")
    os.mkfifo(tmp_path / "a" / "pipe")
    names, findings = found_in(list(find_files(Kind.PATH, tmp_path, base=tmp_path, skip=(tmp_path / "skipped").__eq__)))
    assert names == {"a/one", "a/b/two"}
    assert findings.artefacts == 2


def test_what_others_can_read_is_not_private(tmp_path: Path) -> None:
    for name, mode in (("own", 0o600), ("shown", 0o640)):
        (tmp_path / name).touch(mode)
        (tmp_path / name).chmod(mode)
    assert {artefact.name: artefact.private for artefact in find_files(Kind.PATH, tmp_path, base=tmp_path)} == {
        "own": True,
        "shown": False,
    }


def test_what_is_gone_meanwhile_is_none_and_what_is_refused_is_told(tmp_path: Path) -> None:
    def refuse() -> list[bytes]:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "file").touch()
    listed = list(find_files(Kind.PATH, tmp_path))
    (tmp_path / "file").unlink()
    _, findings = found_in([*listed, Artefact(Kind.PROCESS, "1 init environ", refuse)])
    assert findings.artefacts == 0
    assert findings.unread == ["process 1 init environ: Permission denied"]
    assert list(find_files(Kind.PATH, tmp_path / "absent")) == []


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(root: Path, *, onerror: object) -> list[object]:
        assert callable(onerror)
        onerror(PermissionError(13, "Permission denied", f"{root}/closed"))
        return []

    monkeypatch.setattr(os, "walk", walk)
    assert found_in(list(find_files(Kind.PATH, tmp_path)))[1].unread == [f"path {tmp_path}/closed: Permission denied"]


def test_a_process_is_named_without_its_arguments() -> None:
    with plants.running(RAW) as pid:
        found = [artefact for artefact in find_processes() if artefact.name.startswith(f"{pid} ")]
        assert [artefact.name for artefact in found] == [f"{pid} sleep cmdline", f"{pid} sleep environ"]
        assert found_in(found)[0] == {f"{pid} sleep environ"}
