"""The process around the forward, with a kubectl that only listens."""

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinky import paths, process
from kinky.bootstrap import forward, forward_daemon
from kinky.errors import HostError
from kinky.kube.access import HostAccess
from kinky.retry import Pending, wait_until
from tests.unit.host_server import serve, write_kubeconfig

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")

KUBECTL = """#!{python}
import socket, sys, time
assert sys.argv[1:3] == ["port-forward", "pod/launcher"], sys.argv
assert "--address=127.0.0.1" in sys.argv and "--namespace=ns" in sys.argv
server = socket.create_server(("127.0.0.1", int(sys.argv[3].partition(":")[0])))
while True:
    server.accept()[0].close()
"""


BODIES = {
    "/api/v1/namespaces/ns/services/dev-endpoint": {"spec": {"selector": {"a": "b"}}},
    "/api/v1/namespaces/ns/pods": {"items": [{"metadata": {"name": "launcher"}, "status": {"phase": "Running"}}]},
}


@pytest.fixture
def access(tmp_path: Path) -> Iterator[HostAccess]:
    """A host with an endpoint Service and one pod behind it."""
    with serve(tmp_path) as server:
        server.answers = {("GET", path): (200, body) for path, body in BODIES.items()}
        yield write_kubeconfig(tmp_path / "kubeconfig.yaml", server.url)


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A kubectl that only listens, run by the real process."""
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "state"))
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL.format(python=sys.executable))
    program.chmod(0o755)
    yield program
    forward.stop_all_forwards()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_process_starts_heals_and_stops(kubectl: Path, access: HostAccess) -> None:
    port = free_port()
    pid = forward.ensure_forward(access, "dev", local_port=port, kubectl=str(kubectl), wait_seconds=30)
    assert forward.is_listening(port)
    assert forward.ensure_forward(access, "dev", local_port=port, kubectl=str(kubectl)) == pid

    directory = paths.stack_dir("dev")
    child = int((directory / forward.KUBECTL_PID_FILE).read_text())
    process.terminate(child, expect="pod/launcher")
    wait_until(
        lambda: forward.is_listening(port) or Pending("down"),
        what="kubectl again",
        deadline_seconds=30,
        every_seconds=0.2,
    )

    # Killed without a chance to clean up: the next credential brings it back and ends the orphan.
    orphan = int((directory / forward.KUBECTL_PID_FILE).read_text())
    process.terminate(pid, expect=str(directory), grace_seconds=5)
    assert forward.ensure_recorded_forward("dev", wait_seconds=30)
    assert not process.is_alive(orphan, expect="pod/launcher")

    forward.stop_forward("dev")
    assert not forward.is_listening(port)
    assert not forward.ensure_recorded_forward("dev", wait_seconds=1)


def test_port_of_another_program_is_refused(kubectl: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(HostError, match=f"local port {port} cannot be used") as caught:
            forward.ensure_forward(ACCESS, "dev", local_port=port, kubectl=str(kubectl))
    assert "access.localPort" in str(caught.value)


def test_damaged_record_is_no_record(kubectl: Path) -> None:
    (paths.stack_dir("dev") / forward.SPEC_FILE).write_text('{"cluster": "dev"}')
    assert not forward.ensure_recorded_forward("dev", wait_seconds=1)
    assert forward_daemon.run(paths.stack_dir("dev") / forward.SPEC_FILE, threading.Event()) == 1


def test_something_without_tls_does_not_answer(tmp_path: Path) -> None:
    assert not forward_daemon.is_answering(free_port(), "api.dev.kinky.internal", ca_file=tmp_path / "absent")
