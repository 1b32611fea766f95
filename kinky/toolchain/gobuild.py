"""Builds one tool from its pinned Go module, in a build directory of its own."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinky import paths, process, progress
from kinky.errors import KinkyError

if TYPE_CHECKING:
    from kinky.toolchain.tools import Tool

# The largest tool took 10 minutes on two busy cores; three times that.
_BUILD_SECONDS = 1800
# One set for all tools: the first two choose Go's own resolver and account files, so that tools with cgo and without
# share what is compiled. The last leaves out a transport that Pulumi's backend gs:// does not use.
_TAGS = "netgo,osusergo,disable_grpc_modules"
# The linker strips debug information (-s -w); not making it saves 7 % of a build.
FLAGS = ("-mod=readonly", "-trimpath", f"-tags={_TAGS}", "-gcflags=all=-dwarf=false")
# By default the compiler collects garbage for a third of its time; this takes back most of it, for 250 MB a process.
_COLLECT_PERCENT = "400"
_MAJOR = re.compile(r"v\d+")


def build(tool: Tool, into: Path, *, go: Path) -> None:
    """Builds the programs of a tool into a folder.

    Raises CommandError with the compiler's last lines, KinkyError if a module is not the pinned one.
    """
    log = paths.tools_dir() / f"{tool.name}.log"
    with (
        progress.phase(f"build {tool.name} {tool.version}", limit_seconds=_BUILD_SECONDS),
        tempfile.TemporaryDirectory(prefix=f"kinky-{tool.name}-") as folder,
    ):
        workdir = Path(folder)
        shutil.copytree(tool.directory, workdir, dirs_exist_ok=True)
        if tool.stage:
            module = module_folder(tool, go=go)
            for entry in tool.stage:
                _stage(module, workdir, entry)
        flags = " ".join(["-s", "-w", *tool.ldflags])
        process.run(
            [
                go,
                # The tests of a package as a program; vet would read every package below it first.
                *(("test", "-c", "-vet=off") if tool.tests else ("build",)),
                *FLAGS,
                "-buildvcs=false",
                "-ldflags",
                flags,
                "-o",
                f"{into}/",
                *tool.programs.values(),
            ],
            reason=f"build {', '.join(tool.programs)}",
            hint=f"the compiler's output is in {log}",
            timeout_seconds=_BUILD_SECONDS,
            cwd=workdir,
            env=build_environment(tool),
            log=log,
        )
    for program, package in tool.programs.items():
        built = into / _binary_name(tool, package)
        if built.name != program:
            built.rename(into / program)


def build_environment(tool: Tool) -> dict[str, str]:
    """Returns the variables with which a tool is compiled, whatever the caller's environment says."""
    return {
        "CGO_ENABLED": "1" if tool.cgo else "0",
        "GOFLAGS": "",
        "GOGC": _COLLECT_PERCENT,
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def module_folder(tool: Tool, *, go: Path) -> Path:
    """Folder of a tool's module in the Go module cache, fetched first if need be."""
    answer = json.loads(
        process.run(
            [go, "mod", "download", "-json", f"{tool.module}@{tool.version}"],
            reason=f"fetch the module of {tool.name}",
            cwd=paths.tools_dir(),
            # Some modules are absent from the checksum database; the sum is compared here instead.
            env={"GONOSUMDB": tool.module, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"},
        )
    )
    if answer["Sum"] != _pinned_sum(tool):
        raise KinkyError(
            f"module {tool.module}@{tool.version}: its sum is {answer['Sum']}, pinned is {_pinned_sum(tool)}",
            hint="do not build it; compare go.sum with a second machine",
        )
    return Path(answer["Dir"])


def _pinned_sum(tool: Tool) -> str:
    if tool.sum:
        return tool.sum
    for line in (tool.directory / "go.sum").read_text().splitlines():
        name, version, digest = line.split()
        if (name, version) == (tool.module, tool.version):
            return digest
    return "absent from go.sum"


def _stage(module: Path, workdir: Path, entry: Mapping[str, Any]) -> None:
    source, target = module / entry["from"], workdir / entry["to"]
    if source.is_dir():
        shutil.copytree(source, target)
        # The module cache is read-only, and later entries edit files of the copy.
        for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
        return
    text = source.read_text()
    for pattern, replacement in entry.get("edit", []):
        text, count = re.subn(pattern, replacement, text)
        if not count:
            raise KinkyError(
                f"{source}: nothing matches {pattern!r}",
                hint="the module has changed; correct `stage` in toolchain/tools.toml",
            )
    target.unlink(missing_ok=True)
    target.write_text(text)


def _binary_name(tool: Tool, package: str) -> str:
    if package == ".":
        return tool.name
    if tool.tests:
        return f"{package.rpartition('/')[2]}.test"
    parts = package.split("/")
    return parts[-2] if _MAJOR.fullmatch(parts[-1]) else parts[-1]
