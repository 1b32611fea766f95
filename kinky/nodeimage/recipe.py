"""The inputs of the node image: programs, system images, and the hash that names the result; versions: a release."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from kinky import paths

Tools = Callable[[str], Path]
"""Finds a program by name, such as the toolchain's `tool_path`."""

NODE_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "kubelet", "kubeadm")
"""Programs that run on the node itself; they land in /usr/bin."""

NFT = ("/usr/sbin/nft",)
"""Programs that write nftables rules; an image with one gets the names of protocols too."""
_IPTABLES = ("/usr/sbin/iptables", "/usr/sbin/iptables-save", "/usr/sbin/iptables-restore")
_IP6TABLES = ("/usr/sbin/ip6tables", "/usr/sbin/ip6tables-save", "/usr/sbin/ip6tables-restore")


@dataclass(frozen=True, kw_only=True)
class SystemImage:
    """A container image that the node image carries unpacked; the release says its reference.

    `program` is a tool's name; `path` is where it lands in the image; `entrypoint` is empty where the pod names the
    command; `extras` are programs of the root file system that come along with the libraries they need.
    """

    name: str
    program: str
    path: str
    entrypoint: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    certificates: bool = False
    user: str = "0:0"


def _kubernetes(name: str, extras: tuple[str, ...] = ()) -> SystemImage:
    # kubeadm's manifests name the program as command, found on the image's PATH.
    return SystemImage(name=name, program=name, path=f"/usr/local/bin/{name}", extras=extras)


SYSTEM_IMAGES = (
    SystemImage(name="pause", program="pause", path="/pause", entrypoint=("/pause",), user="65535:65535"),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    # conntrack entries are changed through netlink; only rules need a program.
    _kubernetes("kube-proxy", extras=NFT),
    SystemImage(name="etcd", program="etcd", path="/usr/local/bin/etcd"),
    SystemImage(name="coredns", program="coredns", path="/coredns", entrypoint=("/coredns",)),
    SystemImage(
        name="flannel",
        program="flanneld",
        path="/flanneld",
        entrypoint=("/flanneld",),
        # With nftables on, flannel still removes its old iptables rules first and exits where iptables is absent.
        extras=(*NFT, *_IPTABLES, *_IP6TABLES),
    ),
    SystemImage(
        name="external-secrets",
        program="external-secrets",
        path="/bin/external-secrets",
        entrypoint=("/bin/external-secrets",),
        certificates=True,
        user="65534:65534",
    ),
    SystemImage(name="web", program="web", path="/web", entrypoint=("/web",), user="65534:65534"),
)


def recipe_dir() -> Path:
    """Return the folder with package lists, guest files and boot configuration."""
    return paths.data_root() / "node-image"


def is_ours(program: str) -> bool:
    """Tell whether a system image's program is built from the recipe instead of found by the toolchain."""
    return program in ("pause", "web")


def tool_names() -> tuple[str, ...]:
    """Return every program that the toolchain has to provide, sorted."""
    images = {image.program for image in SYSTEM_IMAGES if not is_ours(image.program)}
    return tuple(sorted(images | set(NODE_PROGRAMS)))


def hash_tree(root: Path, *, without: Container[str] = ()) -> str:
    """Return the SHA-256 over names, executable bits and contents of all files below a folder but those named."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if str(relative) in without or "__pycache__" in relative.parts:
            continue
        if not (path.is_file() or path.is_symlink()):
            continue
        body = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        executable = bool(path.stat(follow_symlinks=False).st_mode & 0o100)
        digest.update(f"{relative}\0{executable}\0{len(body)}\0".encode() + body)
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def content_hash(parts: Mapping[str, str]) -> str:
    """Return the hash over named inputs, independent of their order."""
    text = "".join(f"{name}={value}\n" for name, value in sorted(parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()
