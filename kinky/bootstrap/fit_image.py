"""Whether the node image is there and built for the Kubernetes version that is asked for."""

import json
import tarfile
from pathlib import Path

from kinky.config.model import KinkyConfig
from kinky.errors import HostError

VERSION_LABEL = "dev.kinky.kubernetes-version"
CONFIG_LIMIT_BYTES = 4 * 1024**2
"""An image's configuration is some kilobytes; a file that claims more is not one."""


def check_image(cfg: KinkyConfig, *, kubernetes_version: str | None) -> list[str]:
    """Check the archive of the configuration, and the version of a known image; returns problems.

    Args:
        kubernetes_version: What the image that will be used was built for, when its record is at hand.
    """
    problems = []
    wanted = cfg.cluster.kubernetes_version
    if kubernetes_version is not None and kubernetes_version != wanted:
        problems.append(
            f"the node image was built for Kubernetes {kubernetes_version}, cluster.kubernetesVersion is {wanted}"
        )
    if cfg.image.archive is not None:
        path = Path(cfg.image.archive).expanduser()
        try:
            found = read_archive_version(path)
        except HostError as error:
            return [*problems, f"image.archive = {cfg.image.archive}: {error.message}"]
        if found != wanted:
            problems.append(
                f"image.archive = {cfg.image.archive}: built for Kubernetes {found or '(no label)'},"
                f" cluster.kubernetesVersion is {wanted}"
            )
    return problems


def read_archive_version(path: Path) -> str | None:
    """Read the Kubernetes version from an image archive's label; raises HostError when it is no such archive."""
    if not path.is_file():
        raise HostError("there is no such file")
    try:
        with tarfile.open(path) as archive:
            manifest = json.loads(_read_member(archive, "manifest.json"))
            config = json.loads(_read_member(archive, manifest[0]["Config"]))
    except (tarfile.TarError, OSError, ValueError, KeyError, IndexError, TypeError):
        raise HostError("not an image archive (manifest.json and a configuration in a tar file)") from None
    labels = (config.get("config") or {}).get("Labels") or {}
    version = labels.get(VERSION_LABEL)
    return None if version is None else str(version)


def _read_member(archive: tarfile.TarFile, name: str) -> bytes:
    """Read one small file of an archive."""
    member = archive.getmember(name)
    stream = archive.extractfile(member)
    if stream is None or member.size > CONFIG_LIMIT_BYTES:
        raise ValueError(name)
    return stream.read()
