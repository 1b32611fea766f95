"""Container images for the nodes of an inner cluster, without a registry and without a way into the nodes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kinky import names, process
from kinky.config.model import KinkyConfig
from kinky.errors import KinkyError
from kinky.images.archive import ArchivedImage, ImageArchive
from kinky.kube import resources
from kinky.kube.connection import ApiError
from kinky.kube.inner import InnerApi
from kinky.manifests import image_loader
from kinky.progress import note, phase
from kinky.retry import Pending, wait_until

START_SECONDS = 120.0
"""For the pods; an emulated node takes the longest."""
ASK_SECONDS = 60.0
COPIES = 2
"""containerd keeps each layer as it came, and unpacked; a compressed one takes even more."""
KEPT_FREE = 0.05
"""Part of a node's disk below which its kubelet begins to evict pods (kinky/render/kubelet.py)."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The nodes that images go to, and by which kubectl; its kubeconfig names no key."""

    config: KinkyConfig
    inner: InnerApi
    names: Sequence[str]
    kubectl: Path
    kubeconfig: Path


@dataclass(frozen=True, kw_only=True)
class NodeImages:
    """The images in the containerd of one node."""

    digests: Mapping[str, str]
    """Digest of each image by its name."""


def load_images(nodes: Nodes, archive: ImageArchive, *, limit_seconds: float) -> None:
    """Put all images of an archive into containerd on each of the nodes, all nodes at a time.

    A node that has them all gets nothing.

    Raises:
        KinkyError: The archive is too large for the disk of a node; nothing was sent.
        CommandError: A node's containerd refused the archive, or the limit passed; the other nodes are finished.
        WaitError: The pod on a node does not start.
    """
    title = f"load {archive.path.name} ({archive.path.stat().st_size >> 20} MiB) into {len(nodes.names)} nodes"
    with phase(title, limit_seconds=limit_seconds), _loaders(nodes) as pods:
        has_all = _each(pods, lambda pod: _has_all(nodes, pod, archive.images))
        short = [node for node in pods if not has_all[node]]
        _require_room(nodes.inner, short, archive)

        def send(node: str) -> None:
            if has_all[node]:
                note(f"{node}: has them already")
                return
            _send(nodes, pods[node], archive, node=node, limit_seconds=limit_seconds)
            note(f"{node}: loaded")

        _each({node: node for node in pods}, send)


def fetch_images(nodes: Nodes) -> dict[str, NodeImages]:
    """Fetch what each node holds, by the names of the nodes."""
    with _loaders(nodes) as pods:
        return _each(pods, lambda pod: _look(nodes, pod))


def parse_images(text: str) -> NodeImages:
    """Parse the table of `ctr images ls`: name, type and digest are its first columns."""
    rows = (line.split() for line in text.splitlines()[1:])
    return NodeImages(digests={row[0]: row[2] for row in rows if len(row) > 2 and not row[0].startswith("sha256:")})


def _look(nodes: Nodes, pod: str) -> NodeImages:
    return parse_images(_ctr(nodes, pod, "images", "ls", reason="list the images of a node"))


def _has_all(nodes: Nodes, pod: str, images: Sequence[ArchivedImage]) -> bool:
    """Tell whether a node holds each image under its name."""
    held = _look(nodes, pod)
    return bool(images) and all(_has(nodes, pod, held, image) for image in images)


def _has(nodes: Nodes, pod: str, held: NodeImages, image: ArchivedImage) -> bool:
    digest = held.digests.get(image.name, "")
    if not digest or image.manifest:
        return bool(digest) and digest == image.manifest
    # containerd wrote the manifest when it was loaded; the configuration in it is the archive's.
    manifest = json.loads(_ctr(nodes, pod, "content", "get", digest, reason=f"read the manifest of {image.name}"))
    return bool(image.config) and (manifest.get("config") or {}).get("digest") == image.config


def _require_room(inner: InnerApi, nodes: Sequence[str], archive: ImageArchive) -> None:
    """Refuse an archive that does not fit on the disk of a node.

    Raises:
        KinkyError: It does not; it names each node with what is free.
    """
    needed = COPIES * archive.content_bytes
    room = _each({node: node for node in nodes}, inner.fetch_image_room)
    details = [
        f"{node}: {_mib(free)} of {_mib(size)} are free, of which {_mib(int(size * KEPT_FREE))} must stay free"
        for node, (free, size) in room.items()
        # A kubelet that has just started knows no size yet.
        if size and needed > free - size * KEPT_FREE
    ]
    if details:
        raise KinkyError(
            f"{archive.path} is too large: it needs {_mib(needed)} on each node; nothing was sent",
            details=details,
            hint="raise controlPlane.dataGib or dataGib of the pool, or load into some nodes only: --node NAME",
        )


def _mib(size: int) -> str:
    return f"{-(-size >> 20)} MiB"


def _send(nodes: Nodes, pod: str, archive: ImageArchive, *, node: str, limit_seconds: float) -> None:
    with archive.path.open("rb") as content:
        process.run(
            _command(nodes, pod, "images", "import", "-"),
            reason=f"load {archive.path} into {node}",
            hint="an archive of docker save, podman save or an OCI layout, for linux/amd64",
            stdin=content,
            timeout_seconds=limit_seconds,
        )


def _ctr(nodes: Nodes, pod: str, *arguments: str, reason: str) -> str:
    return process.run(_command(nodes, pod, *arguments), reason=reason, timeout_seconds=ASK_SECONDS)


def _command(nodes: Nodes, pod: str, *arguments: str) -> list[process.Argument]:
    return [
        *(nodes.kubectl, "--kubeconfig", nodes.kubeconfig, "--namespace", names.NAMESPACE_KINKY),
        *("exec", "--stdin", pod, "--", image_loader.CTR, "--namespace", "k8s.io", *arguments),
    ]


def _each(items: Mapping[str, str], work: Callable[[str], T]) -> dict[str, T]:
    """Do the work for each item at the same time; all are finished before the first failure is raised."""
    if not items:
        return {}
    with ThreadPoolExecutor(len(items)) as pool:
        running = {key: pool.submit(work, value) for key, value in items.items()}
    return {key: each.result() for key, each in running.items()}


@contextmanager
def _loaders(nodes: Nodes) -> Iterator[dict[str, str]]:
    """Run a pod on each node and yield their names by node; an older one is of a `kinky load` that was killed."""
    inner = nodes.inner
    bodies = {node: image_loader.build_loader(nodes.config, node) for node in nodes.names}
    pods = {node: str(body["metadata"]["name"]) for node, body in bodies.items()}

    def start(node: str) -> None:
        _remove(inner, pods[node])
        inner.create(resources.PODS, bodies[node], namespace=names.NAMESPACE_KINKY)
        _wait_started(inner, pods[node], node)

    try:
        _each({node: node for node in pods}, start)
        yield pods
    finally:
        for pod in pods.values():
            inner.delete(resources.PODS, pod, namespace=names.NAMESPACE_KINKY)


def _wait_started(inner: InnerApi, name: str, node: str) -> None:
    def started() -> bool | Pending:
        found = inner.fetch(resources.PODS, name, namespace=names.NAMESPACE_KINKY) or {}
        phase_now = (found.get("status") or {}).get("phase", "absent")
        return True if phase_now == "Running" else Pending(f"pod {name} is {phase_now}")

    wait_until(
        started,
        what=f"the pod that loads images on {node}",
        deadline_seconds=START_SECONDS,
        every_seconds=0.5,
        tolerate=(ApiError,),
    )


def _remove(inner: InnerApi, name: str) -> None:
    if not inner.delete(resources.PODS, name, namespace=names.NAMESPACE_KINKY):
        return

    def gone() -> bool | Pending:
        found = inner.fetch(resources.PODS, name, namespace=names.NAMESPACE_KINKY)
        return True if found is None else Pending(f"pod {name} is still there")

    wait_until(gone, what=f"the end of an older pod {name}", deadline_seconds=START_SECONDS, every_seconds=0.5)
