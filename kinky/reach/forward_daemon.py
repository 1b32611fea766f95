"""The forward process: carries each connection of a local port to a control plane's pod until the cluster is gone.

Run as `python -m kinky.reach.forward_daemon SPEC`. It follows the pods behind the endpoint Service, because a
control plane gets a new pod at each restart. A new connection goes to a running pod. A connection to a pod that has
ended is closed here, because nothing else would close it.
"""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kinky import names, paths
from kinky.border import run_main
from kinky.errors import KinkyError
from kinky.kube.port_forward import PortForwarder, StreamError
from kinky.reach.endpoint_view import Follower, HostView
from kinky.reach.forward import LOOPBACK, ForwardSpec, read_spec
from kinky.reach.host_door import dial_door
from kinky.reach.relay import Relay, Stream

LOOK_EVERY_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 1.0
"""A connection that finds no pod asks for a look at once; many of them must not look without a pause."""
DIAL_SECONDS = 8.0
"""How long a connection waits for a pod that answers; a client must learn within seconds that a cluster is down."""
LOG_LIMIT_BYTES = 1_048_576
HOST_THREADS = 2
"""One thread looks at the pods; the other renews a token for a new stream."""


class Log:
    """Lines on standard error, which is the log file; its size is limited, and no line is repeated."""

    def __init__(self) -> None:
        """Start without a last line."""
        self._last = ""

    def say(self, text: str) -> None:
        """Write one line with the time, unless it repeats the last one."""
        if text == self._last:
            return
        self._last = text
        with contextlib.suppress(OSError):
            if os.fstat(sys.stderr.fileno()).st_size > LOG_LIMIT_BYTES:
                os.ftruncate(sys.stderr.fileno(), 0)
            sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
            sys.stderr.flush()


class Daemon:
    """One forward: a relay that connects to the pods that the host shows."""

    def __init__(self, spec: ForwardSpec, view: HostView, forwarder: PortForwarder, log: Log) -> None:
        """Do not listen yet."""
        self._spec = spec
        self._view = view
        self._forwarder = forwarder
        self._log = log
        self._follower = Follower(now=time.monotonic())
        self._look_now = asyncio.Event()
        self._seen = asyncio.Event()
        """Set by the next look, which then replaces this event."""
        self.relay = Relay(self._dial, say=log.say)

    async def run(self) -> None:
        """Forward until the cluster is gone; raises OSError when the port cannot be used."""
        await self.relay.listen(self._spec.local_port)
        self._log.say(f"listening on {LOOPBACK}:{self._spec.local_port} for inner cluster {self._spec.cluster}")
        try:
            while (reason := self._follower.find_end(time.monotonic())) is None:
                await self._look()
                await _wait(asyncio.Event(), LOOK_AGAIN_SECONDS)
                await _wait(self._look_now, LOOK_EVERY_SECONDS - LOOK_AGAIN_SECONDS)
            self._log.say(f"ended: {reason}")
        finally:
            await self.relay.close()

    async def _look(self) -> None:
        self._look_now.clear()
        sight = await asyncio.to_thread(self._view.look)
        if sight is None:
            self._log.say("the host gave no usable answer")
        self._follower.notice(sight, time.monotonic())
        self.relay.cut(self._follower.is_gone)
        self._seen.set()
        self._seen = asyncio.Event()

    async def _dial(self, tried: Collection[str]) -> tuple[str, Stream]:
        """Open a stream to a pod that was not tried, and wait for one if need be; raises StreamError after a time."""
        failed = set(tried)
        reason = "no pod of a control plane runs"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DIAL_SECONDS):
                while True:
                    pod = self._follower.choose(failed)
                    if pod is None:
                        self._look_now.set()
                        await self._seen.wait()
                        failed.clear()
                        continue
                    try:
                        stream = await self._open(pod)
                    except KinkyError as error:
                        reason = error.message
                        failed.add(pod)
                    else:
                        self._follower.current = pod
                        return pod, stream
        raise StreamError(f"no connection in {DIAL_SECONDS:.0f} s: {reason}")

    async def _open(self, pod: str) -> Stream:
        """Open a stream to a pod: through the embedded host's door if it exists, otherwise by a port-forward."""
        address = self._follower.sight.addresses.get(pod)
        if address and self._spec.kubeconfig == str(paths.host_kubeconfig()) and paths.host_door().exists():
            with contextlib.suppress(StreamError):
                return await dial_door(paths.host_door(), pod=pod, address=address, port=names.ENDPOINT_PORT)
        terms = await asyncio.to_thread(self._view.describe_stream)
        return await self._forwarder.dial(terms, namespace=self._spec.namespace, pod=pod, port=names.ENDPOINT_PORT)


async def serve(spec: ForwardSpec, log: Log) -> None:
    """Forward until the cluster is gone, or until SIGTERM or SIGINT cancels it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    loop.set_default_executor(ThreadPoolExecutor(HOST_THREADS))
    loop.set_exception_handler(lambda _loop, context: log.say(_describe(context)))
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
    async with PortForwarder() as forwarder:
        await Daemon(spec, HostView(spec), forwarder, log).run()


def run(spec_path: Path) -> int:
    """Run one forward to its end and return the exit code; the border handles exceptions of libraries."""
    log = Log()
    spec = read_spec(spec_path)
    if spec is None:
        log.say(f"{spec_path} is not usable")
        return 1
    # Not `asyncio.run`: it would wait for a thread whose call gets no answer from the host.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(serve(spec, log))
    except asyncio.CancelledError:
        log.say("ended: stopped by a signal")
    except KinkyError as error:
        log.say(f"ended: {error.message}")
        return 1
    except OSError as error:
        log.say(f"ended: {LOOPBACK}:{spec.local_port} cannot be used: {error.strerror}")
        return 1
    finally:
        loop.close()
    return 0


def main(arguments: list[str]) -> int:
    """Run as a process that may hold many connections and writes only its own lines."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Without a handler, Python would write warnings of packages to standard error.
    logging.getLogger().addHandler(logging.NullHandler())
    return run(Path(arguments[0]))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but not for longer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _describe(context: dict[str, Any]) -> str:
    """Describe an error that the event loop reports, without the error's own text."""
    return f"{context.get('message', 'event loop')}: {type(context.get('exception')).__name__}"


if __name__ == "__main__":
    # A thread may still wait for the host; the interpreter would wait for the thread.
    os._exit(run_main("a forward", lambda: main(sys.argv[1:])))
