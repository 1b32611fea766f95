"""Layers of Debian packages and archives of images, each made once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from kinky import apt, paths, process
from kinky.file_lock import file_lock
from kinky.progress import phase

SUITE = "trixie"
PACKAGES = (
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "libvirt-clients",
    "qemu-system-x86",
    "qemu-utils",
    "qemu-block-extra",
    "ovmf",
    "swtpm",
    "nftables",
    "iptables",
    "iproute2",
    "passt",
    "genisoimage",
    "xorriso",
    "procps",
    "ethtool",
    "libcap2-bin",
    "psmisc",
    "acl",
    "libnbd0",
    "virtiofsd",
    "crun",
    "fuse3",
)
KERNEL_PACKAGE = "linux-image-cloud-amd64"
LEFT_OUT = tuple(f"/usr/share/{name}" for name in ("doc/*", "man/*", "locale/*", "info/*", "qemu/skiboot*"))
BUILD_SECONDS = 1200
ARCHIVE = "images.tar"
ARCHIVE_SECONDS = 600


def images_dir() -> Path:
    """Return the directory of the host's image artefacts, one folder for each key."""
    path = paths.cache_dir() / "images"
    paths.make_folder(path, mode=paths.SHARED)
    return path


def key_of(*inputs: object) -> str:
    """Return 12 hexadecimal digits for the inputs of an artefact."""
    return hashlib.sha256(json.dumps(inputs, default=str, sort_keys=True).encode()).hexdigest()[:12]


def ensure_base_layer() -> Path:
    """Return the base layer, made first if need be.

    Raises:
        CommandError: mmdebstrap failed.
    """
    return ensure_layer("base", PACKAGES)


def ensure_layer(name: str, wanted: Sequence[str]) -> Path:
    """Return a layer of a small Debian with these packages, made first if need be.

    Raises:
        CommandError: mmdebstrap failed.
    """
    options = ["--variant=minbase", *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT)]
    return _ensure(name, options, wanted)


def ensure_kernel_files() -> Path:
    """Return a tar that holds /boot/vmlinuz of Debian's kernel for virtual machines, made first if need be.

    Raises:
        CommandError: mmdebstrap failed.
    """
    return _ensure("kernel", ["--variant=extract"], (KERNEL_PACKAGE,))


def ensure_archive(name: str, key: str, *, title: str, write: Callable[[Path], None]) -> Path:
    """Return the archive of images with this key, made first if need be; archives of the name with other keys go.

    Args:
        title: Whose images they are.
        write: Writes ARCHIVE, and all that it needs for that, into a folder.
    """
    archive = images_dir() / f"{name}-{key}" / ARCHIVE
    with file_lock(images_dir() / f"{name}.lock"):
        if not archive.is_file():
            with (
                phase(f"make the images of {title}", limit_seconds=ARCHIVE_SECONDS),
                tempfile.TemporaryDirectory(dir=images_dir()) as work,
            ):
                write(Path(work))
                archive.parent.mkdir(exist_ok=True)
                (Path(work) / ARCHIVE).replace(archive)
            # Each has a whole base layer in it.
            for other in images_dir().glob(f"{name}-*"):
                if other != archive.parent and other.is_dir():
                    shutil.rmtree(other, ignore_errors=True)
    return archive


def _ensure(name: str, options: Sequence[str], wanted: Sequence[str]) -> Path:
    """Return the tar of the packages; a run that is killed leaves only a file with another name."""
    folder = images_dir() / f"{name}-{key_of(SUITE, options, wanted)}"
    result = folder / "layer.tar"
    with file_lock(images_dir() / f"{name}.lock"):
        if result.is_file():
            return result
        folder.mkdir(exist_ok=True)
        partial = folder / "layer.partial.tar"
        with phase(f"make the {name} layer from {len(wanted)} Debian packages", limit_seconds=BUILD_SECONDS):
            process.run(
                [
                    "mmdebstrap",
                    "--mode=root",
                    *options,
                    '--aptopt=APT::Install-Recommends "false"',
                    f"--include={','.join(wanted)}",
                    SUITE,
                    partial,
                    f"deb {apt.fetch_mirror()} {SUITE} main",
                ],
                reason=f"make the {name} layer of the embedded host's images",
                hint="apt-get install mmdebstrap",
                timeout_seconds=BUILD_SECONDS,
                log=folder / "build.log",
            )
        partial.replace(result)
    return result
