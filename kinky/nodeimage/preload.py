"""System images, unpacked into the root file system at build time, so that a node pulls and unpacks nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from kinky import process
from kinky.nodeimage import images, recipe

_SNAPSHOTS = "io.containerd.snapshotter.v1.overlayfs/snapshots"
_BLOBS = "io.containerd.content.v1.content/blobs/sha256"
_PER_MACHINE = (
    "io.containerd.runtime.v2.task",
    "io.containerd.sandbox.controller.v1.shim",
    "io.containerd.grpc.v1.introspection",
    "tmpmounts",
)
_LAYER_BYTES = 1 << 20
"""Manifests and configurations are far smaller; every layer is larger."""


def preload_images(root: Path, *, references: Mapping[str, str], tools: recipe.Tools, scratch: Path) -> None:
    """Unpack all system images below the root's /var/lib/kinky, under the references that a release gives them.

    Databases land in `preload` (copied to the data disk at boot), snapshots in `snapshots` (used where they are).
    """
    programs = {image.program: _program(image, tools, scratch=scratch) for image in recipe.SYSTEM_IMAGES}
    archive = scratch / "images.tar"
    images.write_archive(archive, recipe.SYSTEM_IMAGES, references=references, programs=programs, root=root)
    store = root / "var/lib/kinky/preload"
    daemon = scratch / "containerd"
    daemon.mkdir()
    process.run(
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("sh", recipe.recipe_dir() / "preload.sh"),
            *(tools("containerd"), tools("ctr"), store, daemon, archive),
        ],
        reason="unpack the system images into the node image",
        timeout_seconds=600,
    )
    _split(store, root / "var/lib/kinky/snapshots")
    archive.unlink()


def _program(image: recipe.SystemImage, tools: recipe.Tools, *, scratch: Path) -> Path:
    if not recipe.is_ours(image.program):
        return tools(image.program)
    target = scratch / image.program
    if image.program == "pause":
        source = recipe.recipe_dir() / "pause.c"
        argv: list[str | Path] = ["gcc", "-O2", "-s", "-static", "-o", target, source]
        process.run(argv, reason="compile the pause program", hint="apt-get install gcc libc6-dev")
    else:
        process.run(
            [tools("go"), "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", target, "."],
            reason="build the demo workload",
            cwd=recipe.recipe_dir() / "web",
            env={"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
        )
    return target


def _split(store: Path, snapshots: Path) -> None:
    """Move the snapshots out and drop the layers' blobs, which an unpacked image never reads again."""
    for snapshot in (store / _SNAPSHOTS).iterdir():
        shutil.move(snapshot, snapshots / snapshot.name)
    (store / _SNAPSHOTS).rmdir()
    for blob in (store / _BLOBS).iterdir():
        if blob.stat().st_size > _LAYER_BYTES:
            blob.unlink()
    for name in _PER_MACHINE:
        shutil.rmtree(store / name, ignore_errors=True)
