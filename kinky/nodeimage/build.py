"""The node image's build: each step in order, nothing twice, nothing half."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinky import names, paths, progress
from kinky.errors import KinkyError
from kinky.file_lock import file_lock
from kinky.nodeimage import containerdisk, crds, debian, disk, index, preload, recipe, rootfs
from kinky.nodeimage.record import build_record
from kinky.releases import Release

_NOT_BUILDING = ("floor.py", "index.py", "qemu.py", "segment.py")
"""Modules that use an image; a change in them does not change the image."""

_SCHEMAS = "usr/lib/python3/dist-packages/cloudinit/config/schemas"

_OLDER_KEPT = 2
"""Images besides each release's current one; each takes 0.8 to 1.6 GB of disk, and each can be built again."""

_NEEDED_BYTES = 6 << 30
"""Scratch for the root, the images twice and a raw disk; 4.3 GiB were seen."""


@dataclass(frozen=True, kw_only=True)
class NodeImage:
    """A finished node image and where its files are."""

    reference: str
    kubernetes_version: str
    content_hash: str
    images: tuple[str, ...]
    directory: Path

    @property
    def disk(self) -> Path:
        """Return the bootable qcow2."""
        return self.directory / "disk.qcow2"

    @property
    def archive(self) -> Path:
        """Return the containerDisk as a docker-archive."""
        return self.directory / "image.tar"

    @property
    def record(self) -> Path:
        """Return the record of the image, as the image itself holds it."""
        return self.directory / "record.json"


def build_node_image(
    release: Release, *, tools: recipe.Tools, modules: recipe.Tools, added: Path | None = None
) -> NodeImage:
    """Build the node image of a release, or return the one that the same inputs have given before.

    Args:
        tools: Finds a program of the release by its name.
        modules: Finds the source folder of a tool of the release by the tool's name.
        added: A folder whose files and symbolic links come into the root file system as well.

    Raises:
        KinkyError: Not root, too little space, nothing to add where something was named, or a step failed.
    """
    if os.geteuid() != 0:
        raise KinkyError(
            "the node image can be built by root only", hint="sudo make up, or use an image that was built elsewhere"
        )
    if added is not None:
        _check_added(added)
    recipe_dir = recipe.recipe_dir()
    with progress.phase("fetch the node's Debian packages"):
        base = debian.ensure_base(debian.parse_package_list((recipe_dir / "packages-rootfs.txt").read_text()))
    content_hash = recipe.content_hash(_inputs(release, base, tools, added))
    wanted = paths.node_image_dir() / content_hash[:16]
    with file_lock(paths.node_image_dir() / "build.lock"):
        if not (wanted / "image.json").exists():
            _check_space(wanted.parent)
            with debian.rename_when_done(wanted) as folder:
                _build(folder, release, base=base, tools=tools, modules=modules, added=added, content_hash=content_hash)
        image = _make_current(wanted, release)
        _drop_old(wanted.parent)
        index.save_record(image.reference, image.record.read_bytes())
        return image


def current_node_image(release: Release) -> NodeImage:
    """Return the image of a release that was built last.

    Raises:
        KinkyError: None was built.
    """
    record = paths.current_node_image(release.name)
    if not record.exists():
        raise KinkyError(
            f"no node image of release {release.name} (Kubernetes {release.kubernetes_version}): {record} is absent",
            hint=f"kinky image build --release {release.name}; kinky host up gives it to the embedded host",
        )
    return _parse(json.loads(record.read_text()), beside=record)


def _inputs(release: Release, base: Path, tools: recipe.Tools, added: Path | None) -> dict[str, str]:
    parts = {f"program {name}": recipe.hash_file(tools(name)) for name in recipe.tool_names()}
    parts["recipe"] = recipe.hash_tree(recipe.recipe_dir())
    parts["build"] = recipe.hash_tree(Path(__file__).parent, without=_NOT_BUILDING)
    parts["images"] = " ".join(sorted(release.system_images.values()))
    parts["packages"] = recipe.hash_file(base / "versions.txt")
    if added is not None:
        parts["added"] = recipe.hash_tree(added)
    return parts


def _build(
    folder: Path,
    release: Release,
    *,
    base: Path,
    tools: recipe.Tools,
    modules: recipe.Tools,
    added: Path | None,
    content_hash: str,
) -> None:
    scratch = folder / "scratch"
    scratch.mkdir()
    root = scratch / "root"
    reference = names.image_reference(release.kubernetes_version, content_hash)
    with progress.phase("make the node's root file system"):
        rootfs.build_rootfs(root, release, base=base / "root.tar", tools=tools, added=added)
        (root / "usr/lib/kinky/image-id").write_text(f"{reference}\n")
    with progress.phase("unpack the system images into it"):
        preload.preload_images(root, references=release.system_images, tools=tools, scratch=scratch)
    with progress.phase("write the bootable disk"):
        disk.build_disk(root, target=folder / "disk.qcow2", seed=content_hash, scratch=scratch)
    described = {
        "reference": reference,
        "kubernetesVersion": release.kubernetes_version,
        "contentHash": content_hash,
        "images": list(release.system_images.values()),
    }
    parts = scratch / "parts"
    parts.mkdir()
    crds.write_crds(parts / "external-secrets-crds.json", module=modules("external-secrets"))
    shutil.copy(root / _SCHEMAS / "schema-cloud-config-v1.json", parts / "cloud-config-schema.json")
    shutil.copy(root / _SCHEMAS / "schema-network-config-v2.json", parts / "network-data-schema.json")
    record = build_record(described, parts=parts)
    (folder / "record.json").write_bytes(record)
    with progress.phase("write the containerDisk archive"):
        containerdisk.write_containerdisk(
            folder / "image.tar",
            disk=folder / "disk.qcow2",
            record=record,
            reference=reference,
            version=release.kubernetes_version,
            content_hash=content_hash,
        )
    shutil.rmtree(scratch)
    # Last: its presence says that the folder is whole.
    (folder / "image.json").write_text(json.dumps(described, indent=2) + "\n")


def _make_current(folder: Path, release: Release) -> NodeImage:
    record = json.loads((folder / "image.json").read_text()) | {"directory": folder.name}
    target = paths.current_node_image(release.name)
    scratch = target.with_suffix(".partial")
    scratch.write_text(json.dumps(record, indent=2) + "\n")
    scratch.replace(target)
    return _parse(record, beside=target)


def _drop_old(folder: Path) -> None:
    """Remove all but the newest images that are not current; their records stay, so their clusters can go on."""
    current = {json.loads(file.read_text())["directory"] for file in folder.glob("current-*.json")}
    old = [made.parent for made in folder.glob("*/image.json") if made.parent.name not in current]
    old.sort(key=lambda image: image.stat().st_mtime, reverse=True)
    for image in old[_OLDER_KEPT:]:
        progress.note(f"removing node image {image.name}: newer ones are there")
        shutil.rmtree(image)


def _parse(record: Mapping[str, Any], *, beside: Path) -> NodeImage:
    """Return the image of a record; its folder is beside the record, because the cache may have moved."""
    return NodeImage(
        reference=record["reference"],
        kubernetes_version=record["kubernetesVersion"],
        content_hash=record["contentHash"],
        images=tuple(record["images"]),
        directory=beside.parent / record["directory"],
    )


def _check_added(folder: Path) -> None:
    if not folder.is_dir() or not any(folder.iterdir()):
        raise KinkyError(
            f"cannot add files to the node image: {folder} is not a folder with files",
            hint="lay them out as below /, such as etc/systemd/system/mine.service",
        )


def _check_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise KinkyError(
            f"not enough space for the node image: {free >> 20} MiB free in {folder}, {_NEEDED_BYTES >> 20} MiB needed",
            hint="free some, or set KINKY_CACHE_DIR to a larger file system",
        )
