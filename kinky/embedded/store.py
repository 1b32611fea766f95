"""The host's image store: archives go in through containerd's socket, reached from outside the sandbox."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kinky import paths, process
from kinky.embedded import layout, machine
from kinky.embedded.machine import Record
from kinky.errors import HostError
from kinky.os_errors import name_reason
from kinky.progress import phase
from kinky.toolchain.tools import tool_path

NAMESPACE = "k8s.io"
IMPORT_SECONDS = 900
# The kubelet never removes an image with this label; no registry could bring it back.
PINNED = "io.cri-containerd.pinned=pinned"


def ctr(record: Record, *arguments: str | Path, reason: str, timeout_seconds: float = 60) -> str:
    """Run ctr against the host's containerd and return what it printed.

    Raises:
        CommandError: ctr failed.
    """
    socket = machine.inside(record, layout.CONTAINERD_SOCKET)
    command: list[str | Path] = [tool_path("ctr"), "--address", socket, "--namespace", NAMESPACE, *arguments]
    return process.run(command, reason=reason, timeout_seconds=timeout_seconds)


def list_images(record: Record) -> frozenset[str]:
    """Return the references of the images that the host has."""
    return frozenset(ctr(record, "images", "list", "--quiet", reason="list the host's images").split())


def import_archive(record: Record, archive: Path, references: Sequence[str]) -> None:
    """Import every image of an archive and keep it from being collected.

    Raises:
        CommandError: containerd refused the archive.
    """
    size = archive.stat().st_size >> 20
    with phase(f"import {len(references)} images, {size} MiB", limit_seconds=IMPORT_SECONDS):
        ctr(
            record,
            "images",
            "import",
            "--local",
            archive,
            reason=f"import {archive}",
            timeout_seconds=IMPORT_SECONDS,
        )
        for reference in references:
            ctr(record, "images", "label", reference, PINNED, reason="keep the image")


def ensure_imported(record: Record, archive: Path, references: Sequence[str], *, marker: Path) -> bool:
    """Import the archive unless this host has it, and tell whether that was needed; `marker` names the last one."""
    # The folder's name contains the key of all inputs; the folders above it may move.
    inputs = f"{archive.parent.name}/{archive.name} {archive.stat().st_mtime_ns}"
    if marker.is_file() and marker.read_text() == inputs and list_images(record).issuperset(references):
        return False
    import_archive(record, archive, references)
    marker.write_text(inputs)
    return True


def read_references(archive: Path) -> tuple[str, ...]:
    """Return the references in a docker-archive.

    Raises:
        HostError: It is not one, or names no image.
    """
    hint = "give the archive that `docker save` or `kinky image` wrote"
    try:
        with tarfile.open(archive) as content:
            member = content.extractfile("manifest.json")
            entries: list[dict[str, Any]] = json.loads(member.read()) if member else []
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise HostError(f"{archive}: not a docker-archive: {name_reason(error)}", hint=hint) from None
    found = tuple(name for entry in entries for name in entry.get("RepoTags") or ())
    if not found:
        raise HostError(f"{archive}: names no image", hint=hint)
    return found


def current_node_images() -> dict[str, Path]:
    """Return the archive of the node image that was built last of each release, by the image's reference."""
    found = {}
    for record in sorted(paths.node_image_dir().glob(paths.current_node_image("*").name)):
        entries = json.loads(record.read_text())
        archive = record.parent / entries["directory"] / "image.tar"
        if archive.is_file():
            found[str(entries["reference"])] = archive
    return found


def ensure_node_images(record: Record) -> tuple[str, ...]:
    """Import the current node image of each release unless the host has it; return their references."""
    current = current_node_images()
    present = list_images(record) if current else frozenset()
    for reference, archive in current.items():
        if reference not in present:
            import_archive(record, archive, [reference])
    return tuple(current)


def remove_unused_node_images(record: Record, *, current: Sequence[str], objects: str) -> None:
    """Remove node images that are neither current ones nor named in the text of the host's objects."""
    for reference in unused_images(list_images(record), current=current, objects=objects):
        ctr(record, "images", "remove", reference, reason="remove a node image that nothing uses")


def unused_images(present: Iterable[str], *, current: Sequence[str], objects: str) -> list[str]:
    """Return the images of the current ones' repositories that are not current and are not named in the objects."""
    repositories = {reference.rpartition(":")[0] for reference in current}
    return sorted(
        reference
        for reference in present
        if reference.rpartition(":")[0] in repositories and reference not in current and reference not in objects
    )
