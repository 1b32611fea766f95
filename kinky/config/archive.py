"""Checks a declared image archive before anything is made: it exists, and holds the right Kubernetes version.

The one place in this layer that reads a file other than a stack's.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import IO, Final

from kinky.config.model import KinkyConfig
from kinky.config.problem import Problem
from kinky.given_paths import resolve_given

VERSION_LABEL: Final = "dev.kinky.kubernetes-version"
KEY: Final = ("image", "archive")


def check_archive(cfg: KinkyConfig, *, base: Path) -> list[Problem]:
    """Return what is wrong with `image.archive`; a relative path starts at `base`. No archive, no problem."""
    declared = cfg.image.archive
    if declared is None:
        return []
    path = resolve_given(declared, base=base)
    if not path.is_file():
        return [Problem(KEY, declared, f"there is no such file: {path}")]
    try:
        version = read_kubernetes_version(path)
    except (tarfile.TarError, OSError, KeyError, ValueError, LookupError) as error:
        return [Problem(KEY, declared, f"is not a readable image archive ({error})")]
    if version is None:
        return [Problem(KEY, declared, f"is not a node image: it has no label {VERSION_LABEL}")]
    wanted = cfg.cluster.kubernetes_version
    if version != wanted:
        text = f"holds Kubernetes {version}, but cluster.kubernetesVersion is {wanted}"
        return [Problem(KEY, declared, text, (("cluster", "kubernetesVersion"),))]
    return []


def read_kubernetes_version(path: Path) -> str | None:
    """Return the Kubernetes version that the archive's label names.

    Raises:
        tarfile.TarError: It is no tar archive.
        ValueError: It is no image archive.
    """
    with tarfile.open(path) as archive:
        with _member(archive, "manifest.json") as stream:
            manifest = json.load(stream)
        if not (isinstance(manifest, list) and manifest and isinstance(manifest[0], dict)):
            raise ValueError("manifest.json lists no image")
        with _member(archive, str(manifest[0]["Config"])) as stream:
            config = json.load(stream)
    labels = (config.get("config") or {}).get("Labels") or {}
    version = labels.get(VERSION_LABEL)
    return None if version is None else str(version)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    stream = archive.extractfile(name)
    if stream is None:
        raise ValueError(f"{name} is not a file")
    return stream
