"""A short way to one port of one node, such as the API server of one control plane: the published path leads to any."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from concurrent.futures import Future

from kinky import names
from kinky.kube.connection import open_host
from kinky.kube.host import LAUNCHER_LABEL, HostApi
from kinky.kube.inner import InnerApi
from kinky.kube.port_forward import PortForwarder, StreamError
from kinky.operations.site import Site
from kinky.reach.forward import LOOPBACK
from kinky.reach.reach import Reach
from kinky.reach.relay import Relay, Stream
from kinky.retry import Pending


def ask_control_plane(site: Site, node: str, question: Callable[[InnerApi], str | Pending]) -> str | Pending:
    """Ask the API server of this control plane and of no other; the only one there is answers the published path."""
    if site.control_planes == (node,):
        return question(site.reach.inner())
    return look_through(
        site,
        node,
        names.ENDPOINT_PORT,
        lambda port: question(site.reach.at(f"https://{LOOPBACK}:{port}").inner()),
    )


def look_through(site: Site, node: str, port: int, look: Callable[[int], str | Pending]) -> str | Pending:
    """Look at one port of a node; `look` is called with the port of this machine that leads there."""
    launcher = fetch_launcher(site.host, node)
    if not launcher:
        return Pending(f"{node} has no launcher pod that runs")
    with open_window(site.reach, launcher, port) as window:
        answer = look(window.port)
    if isinstance(answer, Pending) and window.failures:
        return Pending("; ".join([answer.seen, window.failures[0]]))
    return answer


def fetch_launcher(host: HostApi, node: str) -> str:
    """Fetch the name of the launcher pod that runs a node; empty when none does."""
    pods = host.fetch_pods(f"{names.LABEL_NODE}={node},{LAUNCHER_LABEL}")
    return next((pod.name for pod in pods if pod.phase == "Running" and not pod.deleting), "")


class Window:
    """A port of this machine that leads to one port of one pod; it closes with this process, or earlier."""

    def __init__(self, reach: Reach, pod: str, remote_port: int) -> None:
        """Open nothing yet."""
        self.port = 0
        self.failures: list[str] = []
        """The connections that failed, one line each."""
        self._connection = open_host(reach.access)
        self._namespace = reach.access.namespace
        self._pod = pod
        self._remote_port = remote_port

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Carry connections while the block runs."""
        async with PortForwarder() as forwarder:

            async def dial(tried: Collection[str]) -> tuple[str, Stream]:
                if tried:
                    raise StreamError(f"pod {self._pod}: no answer from port {self._remote_port}")
                terms = await asyncio.to_thread(self._connection.describe_stream)
                return self._pod, await forwarder.dial(
                    terms, namespace=self._namespace, pod=self._pod, port=self._remote_port
                )

            relay = Relay(dial, say=self.failures.append)
            self.port = await relay.listen(0)
            try:
                yield
            finally:
                await relay.close()


@contextlib.contextmanager
def open_window(reach: Reach, pod: str, remote_port: int) -> Iterator[Window]:
    """Lead a free port of this machine to one of the guest behind a launcher pod, while the block runs."""
    window = Window(reach, pod, remote_port)
    listening, end = Future[None](), threading.Event()

    async def serve() -> None:
        async with window.serve():
            listening.set_result(None)
            await asyncio.to_thread(end.wait)

    def run() -> None:
        try:
            asyncio.run(serve())
        except Exception as error:
            listening.set_exception(error)

    thread = threading.Thread(target=run, name="window", daemon=True)
    thread.start()
    try:
        listening.result()
        yield window
    finally:
        end.set()
        thread.join()
