"""Access mode `forward`: a process on this machine that carries each connection of a local port to the inner API.

`up` and every `kinky credential` start the process (`forward_daemon`) on demand. So a killed forward is back at the
next kubectl call. It ends by itself when the cluster is gone.
"""

import contextlib
import json
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from kinky import paths, process
from kinky.errors import HostError
from kinky.file_lock import file_lock
from kinky.kube.access import HostAccess
from kinky.kube.kubeconfig import write_private
from kinky.retry import Pending, wait_until

LOOPBACK = "127.0.0.1"
LISTENING = "0A"
"""State of a listening socket in /proc/net/tcp."""
SPEC_FILE = "forward.json"
PID_FILE = "forward.pid"
LOG_FILE = "forward.log"
CA_FILE = "ca.crt"
DAEMON_MODULE = "kinky.reach.forward_daemon"


@dataclass(frozen=True, kw_only=True)
class ForwardSpec:
    """The settings of one forward process; kept beside its pid, and holding no secret."""

    cluster: str
    kubeconfig: str
    context: str | None
    namespace: str
    local_port: int

    @property
    def access(self) -> HostAccess:
        """How the process reaches the host."""
        return HostAccess(
            kubeconfig=self.kubeconfig, context=self.context, namespace=self.namespace, cluster=self.cluster
        )

    @property
    def directory(self) -> Path:
        """Where the process keeps its files."""
        return paths.stack_dir(self.cluster)


def ensure_forward(access: HostAccess, cluster: str, *, local_port: int, wait_seconds: float = 0) -> int:
    """Start the forward process unless it runs already, and return its pid.

    Args:
        wait_seconds: How long to wait for the local port to be open; 0 does not wait.

    Raises:
        HostError: the local port belongs to another program.
    """
    spec = ForwardSpec(
        cluster=cluster,
        kubeconfig=access.kubeconfig,
        context=access.context,
        namespace=access.namespace,
        local_port=local_port,
    )
    return _ensure(spec, wait_seconds=wait_seconds)


def ensure_recorded_forward(cluster: str, *, wait_seconds: float) -> bool:
    """Start the cluster's forward again if it was in use; False when the cluster has none."""
    spec = read_spec(paths.stack_dir(cluster) / SPEC_FILE)
    if spec is None:
        return False
    _ensure(spec, wait_seconds=wait_seconds)
    return True


def stop_forward(cluster: str) -> None:
    """End the cluster's forward and forget it; none running is fine."""
    directory = paths.stack_dir(cluster)
    with file_lock(directory / "forward.lock"):
        _stop(directory)
        for name in (SPEC_FILE, PID_FILE):
            with contextlib.suppress(FileNotFoundError):
                (directory / name).unlink()


def stop_all_forwards() -> None:
    """End the forwards of all clusters of this machine's user."""
    for spec in sorted((paths.state_dir() / "clusters").glob(f"*/{SPEC_FILE}")):
        stop_forward(spec.parent.name)


def read_spec(path: Path) -> ForwardSpec | None:
    """Read what a forward was started with; None when nothing usable is recorded."""
    try:
        return ForwardSpec(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def is_listening(port: int) -> bool:
    """Tell whether something listens on the local port.

    The kernel is asked instead of the port: a connection would open a stream through the host to a pod.
    """
    wanted = f"0100007F:{port:04X}"
    with Path("/proc/net/tcp").open() as table:
        rows = (line.split() for line in table)
        return any(row[1] == wanted and row[3] == LISTENING for row in rows)


def find_running(directory: Path) -> int | None:
    """Return the pid of a recorded forward that runs; None otherwise: a killed forward leaves its record."""
    pid = _read_pid(directory / PID_FILE)
    return pid if pid is not None and process.is_alive(pid, expect=str(directory / SPEC_FILE)) else None


def find_port_error(port: int) -> OSError | None:
    """Try the local port, and return why a forward could not listen there; None when it could."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Otherwise connections that have just ended would count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return error
    return None


def _ensure(spec: ForwardSpec, *, wait_seconds: float) -> int:
    """Start the process for this spec under a lock, so that two kubectl calls start one."""
    directory = spec.directory
    with file_lock(directory / "forward.lock"):
        pid = find_running(directory)
        if pid is None or read_spec(directory / SPEC_FILE) != spec:
            _stop(directory)
            _require_free(spec)
            write_private(directory / SPEC_FILE, json.dumps(asdict(spec), indent=2).encode())
            pid = _spawn(directory)
            write_private(directory / PID_FILE, f"{pid}\n".encode())
    if wait_seconds:
        _wait_listening(spec, wait_seconds)
    return pid


def _spawn(directory: Path) -> int:
    """Start the process; its working directory is not ours, so it is told where the package is."""
    return process.spawn_detached(
        [sys.executable, "-m", DAEMON_MODULE, str(directory / SPEC_FILE)],
        log=directory / LOG_FILE,
        env={"PYTHONPATH": str(paths.import_root())},
    )


def _stop(directory: Path) -> None:
    """End the process, and all connections with it."""
    pid = _read_pid(directory / PID_FILE)
    if pid is not None:
        process.terminate(pid, expect=str(directory / SPEC_FILE))


def _require_free(spec: ForwardSpec) -> None:
    """Refuse a local port that another program has, before the process fails on it."""
    error = find_port_error(spec.local_port)
    if error is not None:
        raise HostError(
            f"local port {spec.local_port} cannot be used: {error.strerror}",
            details=[f"needed to: forward to the API of inner cluster {spec.cluster}"],
            hint="set access.localPort in the stack file to a free port",
        )


def _wait_listening(spec: ForwardSpec, seconds: float) -> None:
    """Wait until the process listens; the error names the log with the reason if it does not."""

    def check() -> bool | Pending:
        return is_listening(spec.local_port) or Pending("nothing listens yet")

    wait_until(
        check,
        what=f"forward to inner cluster {spec.cluster} on {LOOPBACK}:{spec.local_port}",
        deadline_seconds=seconds,
        every_seconds=0.2,
        hint=f"see {spec.directory / LOG_FILE}",
    )


def _read_pid(path: Path) -> int | None:
    """Read a pid file; None if it does not exist or is damaged."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
