"""Checks a declared image archive before anything is made: it exists, and holds the right Kubernetes version.

The one place in this layer that reads a file other than a stack's.
"""

from __future__ import annotations

import json
import lzma
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from kinky.config.model import KinkyConfig
from kinky.config.problem import Problem
from kinky.given_paths import resolve_given
from kinky.os_errors import name_reason

VERSION_LABEL: Final = "dev.kinky.kubernetes-version"
KEY: Final = ("image", "archive")
UNREADABLE: Final = (
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
)
"""Errors of reading a damaged archive, compressed or not."""

T = TypeVar("T")


def check_archive(cfg: KinkyConfig, *, base: Path) -> list[Problem]:
    """Return what is wrong with `image.archive`; a relative path starts at `base`. No archive, no problem."""
    declared, path = cfg.image.archive, find_archive(cfg, base=base)
    if path is None:
        return []
    if not path.is_file():
        return [Problem(KEY, declared, f"there is no such file: {path}")]
    try:
        version = read_kubernetes_version(path)
    except UNREADABLE as error:
        return [Problem(KEY, declared, f"is not a readable image archive ({name_reason(error)})")]
    if version is None:
        return [Problem(KEY, declared, f"is not a node image: it has no label {VERSION_LABEL}")]
    wanted = cfg.cluster.kubernetes_version
    if version != wanted:
        text = f"holds Kubernetes {version}, but cluster.kubernetesVersion is {wanted}"
        return [Problem(KEY, declared, text, (("cluster", "kubernetesVersion"),))]
    return []


def find_archive(cfg: KinkyConfig, *, base: Path) -> Path | None:
    """Return the path of `image.archive`; a relative one starts at `base`."""
    return None if cfg.image.archive is None else resolve_given(cfg.image.archive, base=base)


def read_kubernetes_version(path: Path) -> str | None:
    """Return the Kubernetes version that the archive's label names.

    Raises:
        tarfile.TarError: It is no tar archive.
        ValueError: It is not an image archive.
    """
    with tarfile.open(path) as archive:
        config = read_images(archive)[0].config
    settings = config.get("config")
    labels = settings.get("Labels") if isinstance(settings, dict) else None
    version = labels.get(VERSION_LABEL) if isinstance(labels, dict) else None
    return None if version is None else str(version)


@dataclass(frozen=True, kw_only=True)
class ArchivedImage:
    """One image of an archive."""

    config: Mapping[str, Any]
    layers: tuple[str, ...]
    """Names of the archive's members with its layers, the lowest first."""
    tags: tuple[str, ...]
    """References that the archive gives it."""


def read_images(archive: tarfile.TarFile) -> list[ArchivedImage]:
    """Return the images of an archive as docker, podman, skopeo and containerd write it.

    Raises:
        ValueError: It is not an image archive.
        LookupError: A part of the archive is missing.
    """
    listed = _parse(archive, "manifest.json", list)
    if not listed:
        raise ValueError("manifest.json lists no image")
    return [
        ArchivedImage(
            config=_parse(archive, str(each["Config"]), dict),
            layers=tuple(map(str, each.get("Layers") or ())),
            tags=tuple(map(str, each.get("RepoTags") or ())),
        )
        for each in map(dict, listed)
    ]


def _parse(archive: tarfile.TarFile, name: str, kind: type[T]) -> T:
    """Read a member that holds JSON of this kind."""
    stream = archive.extractfile(name)
    if stream is None:
        raise ValueError(f"{name} is not a file")
    with stream:
        content = json.load(stream)
    if not isinstance(content, kind):
        raise ValueError(f"{name} holds no {kind.__name__}")
    return content
