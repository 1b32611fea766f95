"""What is inside of data, in the shapes in which it comes."""

from __future__ import annotations

import base64
import gzip
import io
import json
import textwrap
import time
import zipfile
import zlib

import pytest

from kinky.scan.artefact import Artefact
from kinky.scan.kind import Kind
from kinky.scan.scanner import Findings
from kinky.scan.search import Needles
from kinky.scan.unfold import Unfolded, decode_base64, find_base64
from tests.unit.scan.plants import BODY, KEY, VALUE

PEM, RAW = KEY.reveal().decode(), VALUE.reveal()
LONG = b"some text in front of it, " * 4


def is_found(data: bytes) -> bool:
    needles = Needles([VALUE, KEY])
    return any(needles.search(content) for content in Unfolded(data))


def zipped(method: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.writestr("kinky/__init__.py", b"'nothing'" * 50)
        archive.writestr("kinky/left.py", LONG + RAW)
    return target.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        "    content: |\n" + textwrap.indent(PEM, " " * 6),
        json.dumps({"key": PEM}),
        json.dumps({"key": PEM.replace("\n", "\r\n")}),
        PEM.replace("\n", "\r\n"),
        "\n".join(textwrap.wrap(BODY, 76)),
        f'"{BODY}"',
    ],
    ids=["indented", "JSON", "JSON with CRLF", "CRLF", "wrapped otherwise", "one line"],
)
def test_a_private_key_is_found_however_its_lines_are_broken(data: str) -> None:
    assert is_found(data.encode())


@pytest.mark.parametrize(
    "data",
    [
        zipped(zipfile.ZIP_DEFLATED),
        zipped(zipfile.ZIP_STORED),
        zlib.compress(LONG + RAW),
        zlib.compress(LONG + RAW, 1),
        zlib.compress(LONG + RAW, 9),
        b"front" + gzip.compress(LONG + RAW) + gzip.compress(LONG),
        gzip.compress(LONG) + gzip.compress(LONG + RAW) + b"behind",
        gzip.compress(LONG + RAW + LONG * 9000)[:-200],
        b"word/" + base64.b64encode(gzip.compress(LONG + RAW)),
        base64.encodebytes(LONG + RAW),
        base64.b64encode(LONG + RAW).rstrip(b"="),
    ],
    ids=[
        "wheel",
        "stored in zip",
        "zlib",
        "zlib 1",
        "zlib 9",
        "first member",
        "second member",
        "torn gzip",
        "gzip behind a word",
        "wrapped",
        "unpadded",
    ],
)
def test_packed_content_is_found(data: bytes) -> None:
    assert is_found(data)


@pytest.mark.parametrize("length", range(24, 40))
def test_base64_of_any_length_is_decoded_to_its_last_byte(length: int) -> None:
    content = bytes(range(200, 200 + length))
    for encoded in (base64.b64encode(content), base64.urlsafe_b64encode(content)):
        assert [decode_base64(run) for run in find_base64(b"<" + encoded + b">")] == [content]


def test_a_bomb_is_cut_and_told() -> None:
    bomb = gzip.compress(gzip.compress(bytes(64 << 20)) * 8)
    unfolded = Unfolded(bomb, limit_bytes=1 << 20)
    assert sum(map(len, unfolded)) < 3 << 20
    assert unfolded.cut


def test_what_was_cut_stands_in_the_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Unfolded.__init__, "__kwdefaults__", {"limit_bytes": 10})
    findings = Findings()
    findings.scan([Artefact.hold(Kind.PATH, "bomb.gz", gzip.compress(LONG))], [Needles([VALUE]).search])
    assert findings.unread == ["path bomb.gz: what is packed in it is too large"]


def test_many_members_cost_no_more_than_their_size() -> None:
    """zlib copies what follows a member's end, which once made this quadratic."""
    data = gzip.compress(LONG) * 20_000
    started = time.monotonic()
    assert sum(map(len, Unfolded(data))) == len(data) + len(LONG) * 20_000
    assert time.monotonic() - started < 30
