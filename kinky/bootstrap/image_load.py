"""Container images for the nodes of an inner cluster, without a registry and without a way into the nodes."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kinky import names, process
from kinky.config.model import KinkyConfig
from kinky.kube import resources
from kinky.kube.connection import ApiError
from kinky.kube.inner import InnerApi
from kinky.manifests import image_loader
from kinky.progress import note, phase
from kinky.retry import Pending, wait_until

START_SECONDS = 120.0
"""For the pod; an emulated node takes the longest."""


@dataclass(frozen=True, kw_only=True)
class Loading:
    """What is loaded into which cluster, and by which kubectl; its kubeconfig names no key."""

    config: KinkyConfig
    archive: Path
    kubectl: Path
    kubeconfig: Path
    limit_seconds: float


def load_images(inner: InnerApi, nodes: Sequence[str], loading: Loading) -> None:
    """Put all images of an archive into containerd on each of the nodes, all nodes at a time.

    Raises:
        CommandError: A node's containerd refused the archive, or the limit passed; the other nodes are finished.
        WaitError: The pod on a node does not start.
    """
    megabytes = loading.archive.stat().st_size >> 20
    title = f"load {loading.archive.name} ({megabytes} MiB) into {len(nodes)} nodes"
    with phase(title, limit_seconds=loading.limit_seconds), ThreadPoolExecutor(len(nodes)) as pool:
        running = [pool.submit(_load, inner, node, loading) for node in nodes]
    for each in running:
        each.result()


def _load(inner: InnerApi, node: str, loading: Loading) -> None:
    with _loader(inner, loading.config, node) as pod, loading.archive.open("rb") as archive:
        process.run(
            [
                *(loading.kubectl, "--kubeconfig", loading.kubeconfig, "--namespace", names.NAMESPACE_KINKY),
                *("exec", "--stdin", pod, "--", image_loader.CTR, "--namespace", "k8s.io", "images", "import", "-"),
            ],
            reason=f"load {loading.archive} into {node}",
            hint="an archive of docker save, podman save or an OCI layout, for linux/amd64",
            stdin=archive,
            timeout_seconds=loading.limit_seconds,
        )
    note(f"{node}: loaded")


@contextmanager
def _loader(inner: InnerApi, config: KinkyConfig, node: str) -> Iterator[str]:
    """Run the pod on the node and yield its name; another one of that name is of a `kinky load` that was killed."""
    body = image_loader.build_loader(config, node)
    name = str(body["metadata"]["name"])
    _remove(inner, name)
    inner.create(resources.PODS, body, namespace=names.NAMESPACE_KINKY)

    def started() -> bool | Pending:
        found = inner.fetch(resources.PODS, name, namespace=names.NAMESPACE_KINKY) or {}
        phase_now = (found.get("status") or {}).get("phase", "absent")
        return True if phase_now == "Running" else Pending(f"pod {name} is {phase_now}")

    try:
        wait_until(
            started,
            what=f"the pod that loads images on {node}",
            deadline_seconds=START_SECONDS,
            every_seconds=0.5,
            tolerate=(ApiError,),
        )
        yield name
    finally:
        inner.delete(resources.PODS, name, namespace=names.NAMESPACE_KINKY)


def _remove(inner: InnerApi, name: str) -> None:
    if not inner.delete(resources.PODS, name, namespace=names.NAMESPACE_KINKY):
        return

    def gone() -> bool | Pending:
        found = inner.fetch(resources.PODS, name, namespace=names.NAMESPACE_KINKY)
        return True if found is None else Pending(f"pod {name} is still there")

    wait_until(gone, what=f"the end of an older pod {name}", deadline_seconds=START_SECONDS, every_seconds=0.5)
