"""The forward process: keeps a kubectl port-forward to a control plane's pod until the cluster is gone.

Run as `python -m kinky.bootstrap.forward_daemon SPEC`. A kubectl whose pod was replaced (at each
restart of a control plane's VMI) does not notice before somebody connects, and then ends. So this
process follows the pods behind the endpoint Service and starts kubectl anew on one that is there.
"""

import contextlib
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from kinky import names, process
from kinky.bootstrap.forward import CA_FILE, KUBECTL_PID_FILE, LOG_FILE, LOOPBACK, ForwardSpec, read_spec
from kinky.errors import KinkyError
from kinky.kube import resources
from kinky.kube.host import HostApi
from kinky.kube.kubeconfig import write_private

TICK_SECONDS = 1.0
GONE_SECONDS = 60.0
"""How long the endpoint Service must be gone; a Service that is replaced is back sooner."""
SILENT_SECONDS = 300.0
"""How long the host may not answer; a laptop that slept must not keep this process for ever."""
LOOK_EVERY_SECONDS = 5.0
PROBE_EVERY_SECONDS = 30.0
PROBE_FAILURES = 4
"""Only a kubectl that hangs is ended by probes, and not for one slow answer."""
BACKOFF_LIMIT_SECONDS = 5.0
LOG_LIMIT_BYTES = 1_048_576


@dataclass(frozen=True)
class Sight:
    """What the host shows of the endpoint."""

    has_service: bool
    ready: tuple[str, ...] = ()
    """Pods behind the Service that are Ready, the newest first."""
    running: tuple[str, ...] = ()
    """All pods behind it that run: before the API is ready there are only these."""

    def choose(self, current: str | None) -> str | None:
        """Choose the pod to forward to: the current one as long as no other is better."""
        candidates = self.ready or self.running
        return current if current in candidates else next(iter(candidates), None)


@dataclass(frozen=True)
class Actions:
    """What the supervisor can do and see; tests give it others."""

    start: Callable[[str], int]
    """Starts kubectl on this pod and returns its pid."""
    is_alive: Callable[[int], bool]
    stop: Callable[[int], None]
    answers: Callable[[], bool]
    look: Callable[[], Sight | None]
    """None when the host does not tell."""


class Supervisor:
    """Decides, tick by tick, whether kubectl must be started, ended or left, and when all is over."""

    def __init__(self, actions: Actions, *, now: float) -> None:
        """Start at this monotonic time, with nothing seen yet."""
        self._actions = actions
        self._pid: int | None = None
        self._pod: str | None = None
        self._wanted: str | None = None
        self._started = now
        self._next_start = now
        self._backoff = TICK_SECONDS
        self._next_look = now
        self._gone_since: float | None = None
        self._last_answer = now
        self._next_probe = now + PROBE_EVERY_SECONDS
        self._failures = 0

    def tick(self, now: float) -> bool:
        """Do what is due now; False when the process shall end."""
        self._notice_end(now)
        if now >= self._next_look:
            self._look(now)
        if now - self._last_answer >= SILENT_SECONDS:
            return False
        if self._gone_since is not None and now - self._gone_since >= GONE_SECONDS:
            return False
        self._follow(now)
        if self._pid is not None and now >= self._next_probe:
            self._probe(self._pid, now)
        return True

    def close(self) -> None:
        """End kubectl."""
        if self._pid is not None:
            self._actions.stop(self._pid)
            self._pid = None

    def _notice_end(self, now: float) -> None:
        """Notice that kubectl ended; it is started again the slower the sooner it ends."""
        if self._pid is None or self._actions.is_alive(self._pid):
            return
        lived = now - self._started
        self._backoff = TICK_SECONDS if lived > 30 else min(2 * self._backoff, BACKOFF_LIMIT_SECONDS)
        self._next_start = now + self._backoff
        self._next_look = now
        self._pid = None

    def _look(self, now: float) -> None:
        """Ask the host for the endpoint Service and the pods behind it."""
        self._next_look = now + LOOK_EVERY_SECONDS
        sight = self._actions.look()
        if sight is None:
            return
        self._last_answer = now
        self._wanted = sight.choose(self._pod)
        if sight.has_service:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = now

    def _follow(self, now: float) -> None:
        """Have kubectl run on the wanted pod, and on no other."""
        if self._pid is not None and self._pod != self._wanted:
            self.close()
            self._next_start = now
        if self._pid is None and self._wanted is not None and now >= self._next_start:
            self._pod = self._wanted
            self._pid = self._actions.start(self._wanted)
            self._started = now
            self._failures = 0
            self._next_probe = now + PROBE_EVERY_SECONDS

    def _probe(self, pid: int, now: float) -> None:
        """End a kubectl that listens but leads nowhere."""
        self._next_probe = now + PROBE_EVERY_SECONDS
        self._failures = 0 if self._actions.answers() else self._failures + 1
        if self._failures >= PROBE_FAILURES:
            self._actions.stop(pid)


class HostView:
    """Looks at the endpoint with one connection, which is opened anew after a failure."""

    def __init__(self, spec: ForwardSpec) -> None:
        """Open nothing yet."""
        self._spec = spec
        self._api: HostApi | None = None

    def look(self) -> Sight | None:
        """Ask the host; None when it does not tell."""
        try:
            self._api = self._api or HostApi.connect(self._spec.access)
            return fetch_sight(self._api, names.endpoint_service(self._spec.cluster))
        except KinkyError:
            # The kubeconfig may have been written anew, as after a restart of the embedded host.
            self._api = None
            return None


def fetch_sight(api: HostApi, service_name: str) -> Sight:
    """Ask the host for a Service and the pods that it selects."""
    service = api.fetch_here(resources.SERVICES, service_name)
    selector = ((service or {}).get("spec") or {}).get("selector") or {}
    if service is None or not selector:
        return Sight(has_service=service is not None)
    pods = api.fetch_pods(",".join(f"{key}={value}" for key, value in sorted(selector.items())))
    alive = [pod for pod in pods if pod.phase == "Running" and not pod.deleting]
    return Sight(
        has_service=True,
        ready=tuple(pod.name for pod in alive if pod.ready),
        running=tuple(pod.name for pod in alive),
    )


def build_actions(spec: ForwardSpec) -> Actions:
    """Build the real actions for one forward."""
    return Actions(
        start=lambda pod: _start_kubectl(spec, pod),
        is_alive=lambda pid: process.is_alive(pid, expect=spec.kubectl_mark),
        stop=lambda pid: process.terminate(pid, expect=spec.kubectl_mark, grace_seconds=3),
        answers=lambda: is_answering(
            spec.local_port, names.endpoint_host(spec.cluster), ca_file=spec.directory / CA_FILE
        ),
        look=HostView(spec).look,
    )


def is_answering(port: int, server_name: str, *, ca_file: Path) -> bool:
    """Tell whether something speaks TLS behind the local port; whether it is the right one others prove."""
    # With the CA the handshake ends politely; without it the API server would log each probe as an error.
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file.exists() else None)
    try:
        with (
            socket.create_connection((LOOPBACK, port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=server_name),
        ):
            return True
    except ssl.SSLCertVerificationError:
        return True
    except OSError:
        return False


def run(spec_path: Path, stop: threading.Event) -> int:
    """Supervise until told to stop, or until there is nothing left to forward to."""
    spec = read_spec(spec_path)
    if spec is None:
        sys.stderr.write(f"forward: {spec_path} is not usable\n")
        return 1
    supervisor = Supervisor(build_actions(spec), now=time.monotonic())
    try:
        while supervisor.tick(time.monotonic()):
            if stop.wait(TICK_SECONDS):
                break
    finally:
        supervisor.close()
    return 0


def main(arguments: list[str]) -> int:
    """Run as a process: SIGTERM and SIGINT end it, and kubectl with it."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    return run(Path(arguments[0]), stop)


def _start_kubectl(spec: ForwardSpec, pod: str) -> int:
    """Start kubectl on a pod and record its pid, in case this process is killed."""
    log = spec.directory / LOG_FILE
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            log.write_bytes(b"")
    context = ["--context", spec.context] if spec.context else []
    pid = process.spawn_detached(
        [spec.kubectl, "port-forward", f"pod/{pod}", *spec.kubectl_mark.split(), *context],
        log=log,
        # By environment, because the flag takes one file and the variable may name several.
        env={"KUBECONFIG": spec.kubeconfig},
    )
    write_private(spec.directory / KUBECTL_PID_FILE, f"{pid}\n".encode())
    return pid


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
