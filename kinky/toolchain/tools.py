"""Finds or makes the programs that KinKy uses and does not write.

The first source that works is taken. It is a program of the pinned version on PATH, the project's release archive with
a pinned SHA-256, or `go build` of the pinned module. All results land in one cache outside the checkout, keyed by their
inputs. So nothing is built twice, and two runs at once wait for each other.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import sysconfig
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kinky import paths, process
from kinky.errors import CommandError, KinkyError
from kinky.file_lock import file_lock
from kinky.releases import Pin, Release, default_release
from kinky.toolchain import archive, gobuild


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One table of toolchain/tools.toml, with the version that a release says; the field names are its keys."""

    name: str
    version: str
    programs: Mapping[str, str]
    directory: Path
    module: str = ""
    sum: str = ""
    ldflags: tuple[str, ...] = ()
    cgo: bool = False
    reports: Mapping[str, list[str]] = field(default_factory=dict)
    stage: tuple[Mapping[str, Any], ...] = ()
    archive: Mapping[str, Any] | None = None
    script: bool = False
    tests: bool = False
    """Whether a program is the tests of its package."""

    @property
    def key(self) -> str:
        """Digest of everything that decides the result, 12 hexadecimal digits."""
        digest = hashlib.sha256(
            repr(
                (self.version, sorted(self.programs.items()), self.ldflags, self.stage, self.archive, self.cgo)
            ).encode()
        )
        for path in sorted(self.directory.rglob("*")):
            if path.suffix in {".mod", ".sum", ".go"}:
                digest.update(str(path.relative_to(self.directory)).encode() + path.read_bytes())
        return digest.hexdigest()[:12]

    @property
    def cache(self) -> Path:
        """Where this tool's programs are kept."""
        return paths.tools_dir() / f"{self.name}-{self.version}-{self.key}" / "bin"


@dataclass(frozen=True, kw_only=True)
class ResolvedTool:
    """A program that can be run: its name, version, where it came from and where it is."""

    name: str
    version: str
    source: str
    path: Path | None


def load_tools(release: Release | None = None) -> dict[str, Tool]:
    """Reads toolchain/tools.toml; the result maps a tool's name to its table.

    Args:
        release: Whose versions the tools have, here and below; None means the default release.
    """
    pins = (release or default_release()).tools
    return {name: _tool(name, entry, pins.get(name)) for name, entry in _tables().items()}


@functools.cache
def _tables() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads((_folder() / "tools.toml").read_text())


def _folder() -> Path:
    return paths.data_root() / "toolchain"


def _tool(name: str, entry: Mapping[str, Any], pin: Pin | None) -> Tool:
    pin = pin or Pin(version=entry["version"], sum=entry.get("sum", ""))
    major, minor, *_ = pin.version.removeprefix("v").split(".")
    facts = {
        **entry,
        "version": pin.version,
        "sum": pin.sum,
        "ldflags": tuple(
            flag.format(version=pin.version, major=major, minor=minor) for flag in entry.get("ldflags", ())
        ),
        "stage": tuple(entry.get("stage", ())),
    }
    return Tool(name=name, directory=_folder() / (pin.folder or name), **facts)


def _owner(program: str, release: Release | None) -> Tool:
    for tool in load_tools(release).values():
        if program in tool.programs:
            return tool
    raise KinkyError(f"unknown program: {program}", hint="toolchain/tools.toml lists what can be resolved")


def tool_path(program: str, *, release: Release | None = None) -> Path:
    """Path of a program, made first if need be; `go` is what makes the others, and has to be there.

    Raises KinkyError if no source works; the message says what each one answered.
    """
    if program == "go":
        return go_path()
    tool = _owner(program, release)
    return _find(tool, program) or ensure_tool(tool) / program


def find_program(program: str) -> Path | None:
    """Path of a program that is there: of the pinned version, or of any version on PATH. Makes nothing."""
    found = _find(_owner(program, None), program) or shutil.which(program)
    return Path(found) if found else None


def module_path(name: str, *, release: Release | None = None) -> Path:
    """Folder with the source of a tool's module, of the pinned sum; fetched first if need be."""
    return gobuild.module_folder(load_tools(release)[name], go=go_path())


def ensure_tools(programs: Iterable[str]) -> dict[str, Path]:
    """Makes every named program of the default release available; the result maps name to path."""
    return {program: tool_path(program) for program in programs}


def list_tools(release: Release | None = None) -> list[ResolvedTool]:
    """Every program with its version, source (PATH, archive, build, script or missing) and path; builds nothing."""
    rows = []
    for tool in load_tools(release).values():
        for program in tool.programs:
            found = _find(tool, program)
            rows.append(ResolvedTool(name=program, version=tool.version, source=_source(tool, found), path=found))
    return rows


def _source(tool: Tool, found: Path | None) -> str:
    if found is None:
        return "missing"
    if tool.script:
        return "script"
    if not found.is_relative_to(paths.tools_dir()):
        return "PATH"
    return (tool.cache.parent / "source").read_text()


def _find(tool: Tool, program: str) -> Path | None:
    if tool.script:
        return tool.directory / program
    cached = tool.cache / program
    return _on_path(program, tool) or (cached if cached.exists() else None)


@functools.cache
def _reported(program: Path, arguments: tuple[str, ...]) -> str:
    try:
        return process.run([program, *arguments], reason="ask a program on PATH for its version", timeout_seconds=30)
    except CommandError:
        return ""


def _on_path(program: str, tool: Tool) -> Path | None:
    found = shutil.which(program)
    if found is None or program not in tool.reports:
        return None
    if Path(found).is_relative_to(paths.tools_dir()):
        return Path(found) if Path(found).is_relative_to(tool.cache) else None
    words = _reported(Path(found), tuple(tool.reports[program])).replace(",", " ").split()
    return Path(found) if tool.version in words or tool.version.removeprefix("v") in words else None


def ensure_tool(tool: Tool) -> Path:
    """Folder with the programs of one tool, fetched or built first if need be; it need not be in tools.toml.

    Raises KinkyError or CommandError if neither works.
    """
    with file_lock(paths.tools_dir() / f"{tool.name}.lock"):
        if tool.cache.exists():
            return tool.cache
        unfinished = tool.cache.parent.with_name(f"{tool.cache.parent.name}.partial")
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / "bin").mkdir(parents=True)
        source = "archive" if archive.unpack(tool.archive, unfinished / "bin") else "build"
        if source == "build":
            gobuild.build(tool, unfinished / "bin", go=go_path())
        (unfinished / "source").write_text(source)
        # The rename is what makes a killed build leave nothing that looks finished.
        unfinished.rename(tool.cache.parent)
    return tool.cache


def go_path() -> Path:
    """Path of a Go that can build the tools: the one on PATH, else the one in the virtual environment.

    Raises KinkyError without a Go of version 1.26 or newer.
    """
    candidates = [shutil.which("go"), shutil.which("go", path=sysconfig.get_path("scripts"))]
    seen = []
    for candidate in filter(None, candidates):
        version = _reported(Path(candidate), ("env", "GOVERSION")).strip()
        seen.append(f"{candidate} is {version}")
        if tuple(int(part) for part in version.removeprefix("go").split(".")[:2] if part.isdigit()) >= (1, 26):
            return Path(candidate)
    raise KinkyError(
        "no Go 1.26 or newer found",
        details=seen,
        hint="make up installs it into the virtual environment: .venv/bin/pip install -r toolchain/go-requirements.txt",
    )
