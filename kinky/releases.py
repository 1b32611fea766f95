"""Releases: which versions go together in one cluster. A file of `releases/` says it, and nothing else names them.

A release is called by its Kubernetes minor version, as its file is: v1.36. A stack chooses one by the Kubernetes
version; toolchain, node image and manifests read everything else from here.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kinky import names, paths
from kinky.errors import ConfigError

_OF_KUBERNETES: Final = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler")
"""Images of one program of Kubernetes each."""
_OF_A_TOOL: Final = ("coredns", "external-secrets", "flannel")
"""Images of a tool's program, with the tool's version."""


@dataclass(frozen=True, kw_only=True)
class Pin:
    """Which version of a tool a release takes."""

    version: str
    """Of the Go module."""
    folder: str = ""
    """Below toolchain/, with the go.mod; empty means the tool's name."""
    sum: str = ""
    """Of the module, where go.sum cannot pin it."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """One file of `releases/`; the names of the last three fields are its keys."""

    name: str
    tools: Mapping[str, Pin]
    images: Mapping[str, str]
    """Versions of the system images whose programs are KinKy's own."""
    default: bool = False

    @property
    def kubernetes_version(self) -> str:
        """Return the version that a stack file names, with its patch: `v1.x.y`."""
        return self.tools["kubernetes"].version

    @property
    def system_images(self) -> dict[str, str]:
        """Return the reference of each image that a node holds, by its short name: `kinky.internal/web:v1`."""
        tags = {
            **self.images,
            **dict.fromkeys(_OF_KUBERNETES, self.kubernetes_version),
            **{name: self.tools[name].version for name in _OF_A_TOOL},
            # kubeadm compares this tag with versions, which it writes without a letter.
            "etcd": self.etcd_tag,
        }
        return {name: f"{names.IMAGE_PREFIX}/{name}:{tag}" for name, tag in tags.items()}

    @property
    def etcd_tag(self) -> str:
        """Return the tag of etcd's image."""
        return self.tools["etcd"].version.removeprefix("v")


@functools.cache
def list_releases() -> tuple[Release, ...]:
    """Return all releases, the newest first."""
    files = sorted((paths.data_root() / "releases").glob("v*.toml"), key=_minor, reverse=True)
    return tuple(_parse(file.stem, tomllib.loads(file.read_text())) for file in files)


def default_release() -> Release:
    """Return the release of a stack that names none, which is also the embedded host's."""
    (found,) = (release for release in list_releases() if release.default)
    return found


def find_release(name: str | None) -> Release:
    """Return the release of this name; None names the default one.

    Raises:
        ConfigError: There is no such release.
    """
    if name is None:
        return default_release()
    known = {release.name: release for release in list_releases()}
    if name not in known:
        raise ConfigError(
            f'no release "{name}"', hint=f"choose one of {', '.join(known)}; releases/ has a file for each"
        )
    return known[name]


def find_by_kubernetes(version: str) -> Release:
    """Return the release with this Kubernetes version; the configuration accepts no other version."""
    return {release.kubernetes_version: release for release in list_releases()}[version]


def _minor(file: Path) -> int:
    return int(file.stem.rpartition(".")[2])


def _parse(name: str, table: Mapping[str, Any]) -> Release:
    return Release(name=name, **{**table, "tools": {tool: Pin(**pin) for tool, pin in table["tools"].items()}})
