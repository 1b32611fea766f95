"""System images as one docker-archive: each is one layer, a static program and, where needed, Debian's tools."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kinky import process
from kinky.artefacts.images import Entry, write_tar
from kinky.nodeimage.recipe import NFT, SystemImage, hash_file

EPOCH = "1970-01-01T00:00:00Z"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FOLDERS = ("/tmp", "/run")  # noqa: S108 - paths inside the images
_XTABLES = "usr/lib/x86_64-linux-gnu/xtables"


def list_entries(files: Mapping[str, Path], *, folders: Iterable[str] = ()) -> Iterator[Entry]:
    """Yield the entries of a layer with these files (path in the image -> source), after their folders."""
    for folder in sorted({*folders, *(str(up) for name in files for up in PurePosixPath(name).parents)} - {"/"}):
        yield Entry(folder.lstrip("/"), mode=0o1777 if folder == "/tmp" else 0o755)  # noqa: S108 - inside the image
    for name, source in sorted(files.items()):
        yield Entry(name.lstrip("/"), source)


def build_config(*, diff_ids: list[str], config: Mapping[str, Any]) -> bytes:
    """Return an image configuration for linux/amd64."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": EPOCH,
        "config": {"Env": [_PATH], **config},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    return json.dumps(document, sort_keys=True).encode()


def write_archive(
    target: Path,
    images: Iterable[SystemImage],
    *,
    references: Mapping[str, str],
    programs: Mapping[str, Path],
    root: Path,
) -> None:
    """Write all images into one docker-archive.

    Args:
        references: The name of each image in the archive, by its short name.
        programs: The place of each image's program, by the program's name.
        root: Root file system that extra programs, their libraries and certificates are taken from.
    """
    manifest, members = [], []
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        for image in images:
            layer = Path(folder) / image.name
            write_tar(layer, list_entries(_image_files(image, programs[image.program], root=root), folders=_FOLDERS))
            settings: dict[str, Any] = {"User": image.user, "WorkingDir": "/"}
            if image.entrypoint:
                settings["Entrypoint"] = list(image.entrypoint)
            config = build_config(diff_ids=[f"sha256:{hash_file(layer)}"], config=settings)
            names = f"{image.name}.json", f"{image.name}.tar"
            members += [Entry(names[0], config, mode=0o644), Entry(names[1], layer, mode=0o644)]
            manifest.append({"Config": names[0], "RepoTags": [references[image.name]], "Layers": [names[1]]})
        members.append(Entry("manifest.json", json.dumps(manifest).encode(), mode=0o644))
        write_tar(target, members)


def _image_files(image: SystemImage, program: Path, *, root: Path) -> dict[str, Path]:
    files = {image.path: program}
    for extra in image.extras:
        files[extra] = _resolve(root, extra)
        files.update(_libraries(root, extra))
    if any("iptables" in extra for extra in image.extras):
        # iptables loads its matches and targets by name at run time, so no program lists them.
        files.update({f"/{_XTABLES}/{module.name}": module.resolve() for module in (root / _XTABLES).glob("*.so")})
    if set(NFT) & set(image.extras):
        # Without names of protocols nft lists 6 where tcp was written. kube-proxy then takes each element of its maps
        # for a stranger's and deletes it, whenever it looks at them as a whole: at its start, and each hour.
        files["/etc/protocols"] = root / "etc/protocols"
    if image.certificates:
        files["/etc/ssl/certs/ca-certificates.crt"] = root / "etc/ssl/certs/ca-certificates.crt"
    return files


def _libraries(root: Path, program: str) -> dict[str, Path]:
    """Return the libraries that the tree's own loader would load for a program, and the loader."""
    listed = process.run(
        ["chroot", root, "/usr/lib64/ld-linux-x86-64.so.2", "--list", program],
        reason=f"list the libraries of {program}",
    )
    found = {match: _resolve(root, match) for match in re.findall(r"=> (/\S+)", listed)}
    found["/lib64/ld-linux-x86-64.so.2"] = _resolve(root, "/usr/lib64/ld-linux-x86-64.so.2")
    return found


def _resolve(root: Path, name: str) -> Path:
    """Return the regular file behind a path of the tree, following links as if the tree were the root."""
    path = root / name.lstrip("/")
    while True:
        # A parent may be a link too: /lib64 -> usr/lib64.
        parent = path.parent.resolve() if path.parent.resolve().is_relative_to(root.resolve()) else path.parent
        path = parent / path.name
        if not path.is_symlink():
            return path
        target = path.readlink()
        path = root / str(target).lstrip("/") if target.is_absolute() else path.parent / target
