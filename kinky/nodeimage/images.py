"""System images as one docker-archive: each is one layer, a static program and, where needed, Debian's tools."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kinky import process
from kinky.nodeimage.recipe import NFT, SystemImage

EPOCH = "1970-01-01T00:00:00Z"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FOLDERS = ("/tmp", "/run")  # noqa: S108 - paths inside the images
_XTABLES = "usr/lib/x86_64-linux-gnu/xtables"


def build_layer(files: Mapping[str, Path], *, folders: Iterable[str] = ()) -> bytes:
    """Return an uncompressed layer of files (path in the image -> source), owned by root, without times."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in sorted({*folders, *(str(up) for name in files for up in PurePosixPath(name).parents)} - {"/"}):
            member = tarfile.TarInfo(folder.lstrip("/"))
            member.type = tarfile.DIRTYPE
            member.mode = 0o1777 if folder == "/tmp" else 0o755  # noqa: S108 - a path inside the image
            archive.addfile(member)
        for name, source in sorted(files.items()):
            member = tarfile.TarInfo(name.lstrip("/"))
            member.mode = 0o755
            member.size = source.stat().st_size
            with source.open("rb") as body:
                archive.addfile(member, body)
    return buffer.getvalue()


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
        references: What each image is called in the archive, by its short name.
        programs: Where each image's program is, by the program's name.
        root: Root file system that extra programs, their libraries and certificates are taken from.
    """
    manifest = []
    with tarfile.open(target, "w") as archive:
        for image in images:
            layer = build_layer(_image_files(image, programs[image.program], root=root), folders=_FOLDERS)
            digest = hashlib.sha256(layer).hexdigest()
            settings: dict[str, Any] = {"User": image.user, "WorkingDir": "/"}
            if image.entrypoint:
                settings["Entrypoint"] = list(image.entrypoint)
            config = build_config(diff_ids=[f"sha256:{digest}"], config=settings)
            names = f"{image.name}.json", f"{image.name}.tar"
            for name, body in zip(names, (config, layer), strict=True):
                member = tarfile.TarInfo(name)
                member.size = len(body)
                archive.addfile(member, io.BytesIO(body))
            manifest.append({"Config": names[0], "RepoTags": [references[image.name]], "Layers": [names[1]]})
        body = json.dumps(manifest).encode()
        member = tarfile.TarInfo("manifest.json")
        member.size = len(body)
        archive.addfile(member, io.BytesIO(body))


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
        # for a stranger's and deletes it, whenever it looks at them as a whole: when it starts anew, and each hour.
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
