"""A short way to one port of one node, such as the API server of one control plane: the published path leads to any."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

from kinky import names, paths, process
from kinky.bootstrap.credential import connect_inner
from kinky.bootstrap.forward import LOG_FILE, LOOPBACK, is_listening
from kinky.bootstrap.rotation.site import Site
from kinky.errors import WaitError
from kinky.kube.host import LAUNCHER_LABEL
from kinky.kube.inner import InnerApi
from kinky.retry import Pending, wait_until

LIFE_SECONDS = 180
"""A window that nobody could close, because kinky was killed, closes by itself."""
LISTEN_SECONDS = 30.0
"""kubectl listens within a second; a machine that emulates its host takes some more."""


def ask_control_plane(site: Site, node: str, question: Callable[[InnerApi], str | Pending]) -> str | Pending:
    """Ask the API server of this control plane and of no other; the only one there is answers the published path."""
    if site.control_planes == (node,):
        return question(site.open_inner())
    return look_through(
        site,
        node,
        names.ENDPOINT_PORT,
        lambda port: question(connect_inner(site.access, site.cluster, f"https://{LOOPBACK}:{port}")),
    )


def look_through(site: Site, node: str, port: int, look: Callable[[int], str | Pending]) -> str | Pending:
    """Look at one port of a node; `look` is called with the port of this machine that leads there."""
    pods = site.host.fetch_pods(f"{names.LABEL_NODE}={node},{LAUNCHER_LABEL}")
    running = [pod.name for pod in pods if pod.phase == "Running" and not pod.deleting]
    if not running:
        return Pending(f"{node} has no launcher pod that runs")
    try:
        with open_window(site, running[0], port) as local:
            return look(local)
    except WaitError as error:
        return Pending("; ".join([error.message, *error.details]))


@contextlib.contextmanager
def open_window(site: Site, pod: str, remote_port: int) -> Iterator[int]:
    """Forward a free port of this machine to one of the guest behind a launcher pod, while the block runs."""
    port = _find_free_port()
    mark = f"{port}:{remote_port} --address={LOOPBACK} --namespace={site.access.namespace}"
    context = ["--context", site.access.context] if site.access.context else []
    log = paths.stack_dir(site.cluster) / LOG_FILE
    pid = process.spawn_detached(
        ["timeout", str(LIFE_SECONDS), site.kubectl, "port-forward", f"pod/{pod}", *mark.split(), *context],
        log=log,
        # By environment, because the flag takes one file and the variable may name several.
        env={"KUBECONFIG": site.access.kubeconfig},
    )
    try:
        wait_until(
            lambda: is_listening(port) or Pending("nothing listens yet"),
            what=f"forward to pod {pod}",
            deadline_seconds=LISTEN_SECONDS,
            every_seconds=0.2,
            hint=f"see {log}",
        )
        yield port
    finally:
        process.terminate(pid, expect=mark, grace_seconds=3)


def _find_free_port() -> int:
    """Find a port of this machine that nobody uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
