"""The order of sources, the cache and its failures, with programs that are three-line scripts."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.client
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kinky.errors import KinkyError
from kinky.releases import Release, list_releases
from kinky.toolchain import archive, gobuild, tools


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tools.Tool:
    monkeypatch.setenv("KINKY_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "go.mod").write_text("module kinky.dev/toolchain/sample\n")
    made = tools.Tool(
        name="sample",
        version="v1.2.3",
        programs={"sample": "."},
        directory=tmp_path / "recipe",
        reports={"sample": ["version"]},
    )
    monkeypatch.setattr(tools, "load_tools", lambda _release=None: {"sample": made})
    monkeypatch.setattr(tools, "go_path", lambda: Path("/nowhere/go"))
    tools._reported.cache_clear()
    return made


def program(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "sample"
    path.write_text(f"#!/bin/sh\necho {text}\n")
    path.chmod(0o755)
    return path


def fake_build(calls: list[str], tool: tools.Tool, into: Path, *, go: Path) -> None:
    calls.append(tool.name)
    (into / "sample").write_text("built")


def test_program_of_the_pinned_version_on_path_is_taken(
    tool: tools.Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = program(tmp_path / "bin", "sample version 1.2.3, linux")
    monkeypatch.setenv("PATH", f"{found.parent}:/usr/bin:/bin")
    assert tools.tool_path("sample") == found
    assert [row.source for row in tools.list_tools()] == ["PATH"]


def test_program_of_another_version_on_path_is_left_alone(
    tool: tools.Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{program(tmp_path / 'bin', '1.2.30').parent}:/usr/bin:/bin")
    calls: list[str] = []
    monkeypatch.setattr(gobuild, "build", functools.partial(fake_build, calls))
    assert tools.tool_path("sample").read_text() == "built"
    assert [row.source for row in tools.list_tools()] == ["build"]


def test_two_runs_at_once_build_once(tool: tools.Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(gobuild, "build", functools.partial(fake_build, calls))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(tools.tool_path, ["sample"] * 4))
    assert calls == ["sample"]
    assert len(set(found)) == 1


def test_a_build_that_dies_leaves_no_program(tool: tools.Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(tool: tools.Tool, into: Path, *, go: Path) -> None:
        (into / "sample").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(gobuild, "build", half)
    with pytest.raises(KeyboardInterrupt):
        tools.tool_path("sample")
    assert [row.source for row in tools.list_tools()] == ["missing"]
    calls: list[str] = []
    monkeypatch.setattr(gobuild, "build", functools.partial(fake_build, calls))
    assert tools.tool_path("sample").read_text() == "built"


def test_the_key_follows_the_recipe(tool: tools.Tool) -> None:
    before = tool.key
    (tool.directory / "go.sum").write_text("example.invalid/module v1.0.0 h1:other=\n")
    assert tool.key != before


def test_unknown_program_is_refused(tool: tools.Tool) -> None:
    with pytest.raises(KinkyError, match="unknown program: kubectll"):
        tools.tool_path("kubectll")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str]]:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        entry = tarfile.TarInfo("release/sample")
        entry.size = 7
        tar.addfile(entry, io.BytesIO(b"release"))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.getvalue())

        def log_message(self, *_: object) -> None:
            """Keep the test's output quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/sample.tar.gz", hashlib.sha256(body.getvalue()).hexdigest()
        server.shutdown()


def test_archive_with_the_pinned_digest_is_unpacked(served: tuple[str, str], tmp_path: Path) -> None:
    url, digest = served
    assert archive.unpack({"url": url, "sha256": digest, "members": {"sample": "release/sample"}}, tmp_path)
    assert (tmp_path / "sample").read_bytes() == b"release"
    assert (tmp_path / "sample").stat().st_mode & 0o111


def test_archive_with_another_digest_is_refused_and_not_written(served: tuple[str, str], tmp_path: Path) -> None:
    url, digest = served
    with pytest.raises(KinkyError, match=f"SHA-256 is {digest}, pinned is 00"):
        archive.unpack({"url": url, "sha256": "00", "members": {"sample": "release/sample"}}, tmp_path)
    assert not (tmp_path / "sample").exists()


def test_archive_out_of_reach_leaves_the_build_to_try(tmp_path: Path) -> None:
    assert not archive.unpack({"url": "http://127.0.0.1:1/sample", "sha256": "00", "members": {}}, tmp_path)


@pytest.mark.parametrize("error", [ConnectionResetError("reset by peer"), http.client.IncompleteRead(b"half", 10)])
def test_archive_that_breaks_off_leaves_the_build_to_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Answer(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise error

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Answer())
    assert not archive.unpack({"url": "https://a.test/sample", "sha256": "00", "members": {}}, tmp_path)


@pytest.mark.parametrize("release", list_releases(), ids=lambda release: release.name)
def test_every_table_names_a_recipe_that_is_there(release: Release) -> None:
    for tool in tools.load_tools(release).values():
        assert tool.script or (tool.directory / "go.mod").exists(), tool.name
        assert tool.programs, tool.name
        assert set(tool.reports) <= set(tool.programs), tool.name


@pytest.mark.parametrize("cgo", [False, True])
def test_a_build_shares_what_others_compiled(tool: tools.Tool, tmp_path: Path, cgo: bool) -> None:
    go = tmp_path / "go"
    go.write_text(f'#!/bin/sh\necho "$@" "cgo=$CGO_ENABLED gogc=$GOGC" > {tmp_path}/seen\ntouch {tmp_path}/sample\n')
    go.chmod(0o755)
    (tmp_path / "cache" / "tools").mkdir(parents=True)
    gobuild.build(dataclasses.replace(tool, cgo=cgo), tmp_path, go=go)
    words = (tmp_path / "seen").read_text().split()
    assert {"-mod=readonly", "-trimpath", "-tags=netgo,osusergo,disable_grpc_modules"} <= set(words)
    assert words[-2:] == [f"cgo={int(cgo)}", "gogc=400"]
