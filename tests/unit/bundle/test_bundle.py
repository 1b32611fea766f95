"""Bundles: what is missing is said, what is secret never shows, and nothing half is ever at the place."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kinky.bundle.host import select_lines
from kinky.bundle.pieces import Piece
from kinky.bundle.write import INDEX, gather, publish
from kinky.cli.bundle import find_secrets
from kinky.errors import ConfigError, HostError, KinkyError
from kinky.scan.known import know
from kinky.scan.secret import KnownSecret, SecretClass

VALUE = "planted-value-9f4c2b"


def piece(file: str, text: str) -> Piece:
    return Piece(file=file, holds=f"text of {file}", fetch=lambda: text)


def broken(file: str, error: Exception) -> Piece:
    def fetch() -> str:
        raise error

    return Piece(file=file, holds="nothing", fetch=fetch)


def secrets() -> list[KnownSecret]:
    return list(know([(SecretClass.STORE_VALUE, "dev-store-mine/value", VALUE.encode())]))


def write(folder: Path, *pieces: Piece) -> None:
    publish(folder, gather(pieces), head=["# Bundle"], check=lambda made: find_secrets(made, secrets()))


def test_every_file_stands_in_the_index(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    write(folder, piece("why.txt", "all is well"), piece("inside/logs/web/pod.txt", "hello"))
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {"why.txt", "inside/logs/web/pod.txt", INDEX}
    index = (folder / INDEX).read_text()
    assert all(f"[{file}]({file})" in index for file in files - {INDEX})
    assert folder.stat().st_mode & 0o077 == 0


def test_a_piece_that_fails_is_missing_with_its_reason_and_stops_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    away = HostError("the host does not answer", hint="kinky host status")
    write(folder, broken("host/events.txt", away), broken("x.txt", ValueError(VALUE)), piece("why.txt", "text"))
    index = (folder / INDEX).read_text()
    assert "| host/events.txt | nothing | the host does not answer" in index
    # The text of a library's error may quote anything.
    assert "| x.txt | nothing | ValueError |" in index
    assert (folder / "why.txt").read_text() == "text"


def test_a_piece_that_is_late_is_missing() -> None:
    end = threading.Event()
    slow = Piece(file="slow.txt", holds="nothing", fetch=lambda: str(end.wait(30)))
    try:
        gathered = gather([slow, piece("why.txt", "text")], limit_seconds=0.2)
    finally:
        end.set()
    assert list(gathered.missing) == [slow]
    assert "longer than" in gathered.missing[slow]


@pytest.mark.parametrize(
    "text",
    [
        f"level=info password={VALUE}",
        "cGxhbnRlZC12YWx1ZS05ZjRjMmI=",
        "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 4 + "\n-----END PRIVATE KEY-----\n",
    ],
    ids=["plain", "base64", "key"],
)
def test_nothing_is_left_of_a_bundle_with_a_secret(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "bundle"
    with pytest.raises(KinkyError, match="would hold a secret") as caught:
        write(folder, piece("inside/logs/pod.txt", text), piece("why.txt", "all is well"))
    assert list(tmp_path.iterdir()) == []
    assert "inside/logs/pod.txt" in str(caught.value)
    assert VALUE not in str(caught.value)


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "mine").write_text("kept")
    with pytest.raises(ConfigError, match="is there already"):
        write(folder, piece("why.txt", "text"))
    assert [path.name for path in tmp_path.rglob("*")] == ["bundle", "mine"]


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="bundle: "):
        write(tmp_path / "file" / "bundle", piece("why.txt", "text"))


def test_events_of_other_clusters_are_left_out() -> None:
    table = "\n".join(
        [
            "LAST SEEN   TYPE     REASON    OBJECT                              MESSAGE",
            "1s          Normal   Created   virtualmachineinstance/dev-worker-0   made",
            "1s          Normal   Created   pod/virt-launcher-dev-worker-0-x2v9   made",
            "1s          Normal   Created   virtualmachineinstance/develop-worker-0   made",
            "1s          Normal   Started   job/dev   started",
        ]
    )
    assert [line.split()[3] for line in select_lines(table, "dev").splitlines()[1:]] == [
        "virtualmachineinstance/dev-worker-0",
        "pod/virt-launcher-dev-worker-0-x2v9",
        "job/dev",
    ]
