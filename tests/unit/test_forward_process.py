"""The process around the forward: how it is started, found again and ended."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinky import paths, process
from kinky.border import run_main
from kinky.errors import HostError
from kinky.kube.access import HostAccess
from kinky.reach import forward, forward_daemon
from tests.unit.fake_forward_guest import Guest, Loop
from tests.unit.fake_forward_host import FakeHost, Pod, free_port

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
LEAK = "Authorization: Bearer very-secret-token"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "state"))
    yield
    forward.stop_all_forwards()


@pytest.fixture
def access(tmp_path: Path) -> Iterator[HostAccess]:
    loop, host, guest = Loop(), FakeHost(tmp_path), Guest("a")
    loop.run(guest.start())
    loop.run(host.start())
    host.pods["launcher"] = Pod(port=guest.port)
    yield host.write_kubeconfig()
    loop.close()


def ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"name\n")
        return client.makefile("rb").read()


def test_process_starts_heals_and_stops(access: HostAccess) -> None:
    port = free_port()
    pid = forward.ensure_forward(access, "dev", local_port=port, wait_seconds=30)
    assert forward.is_listening(port)
    assert forward.ensure_forward(access, "dev", local_port=port) == pid
    assert ask(port) == b"a\n"

    # Killed without a chance to clean up: the next credential brings it back.
    directory = paths.stack_dir("dev")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert forward.ensure_recorded_forward("dev", wait_seconds=30)
    assert ask(port) == b"a\n"
    again = int((directory / forward.PID_FILE).read_text())

    # Another port is another forward.
    other = free_port()
    assert forward.ensure_forward(access, "dev", local_port=other, wait_seconds=30) != again
    assert not forward.is_listening(port)
    assert ask(other) == b"a\n"

    forward.stop_forward("dev")
    assert not forward.is_listening(other)
    assert not forward.ensure_recorded_forward("dev", wait_seconds=1)


def test_listens_on_loopback_only(access: HostAccess) -> None:
    port = free_port()
    forward.ensure_forward(access, "dev", local_port=port, wait_seconds=30)
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    found = {row[1] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == forward.LISTENING}
    assert found == {f"0100007F:{port:04X}"}


def test_port_of_another_program_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(HostError, match=f"local port {port} cannot be used") as caught:
            forward.ensure_forward(ACCESS, "dev", local_port=port)
    assert "access.localPort" in str(caught.value)


def test_damaged_record_is_no_record() -> None:
    (paths.stack_dir("dev") / forward.SPEC_FILE).write_text('{"cluster": "dev"}')
    assert not forward.ensure_recorded_forward("dev", wait_seconds=1)
    assert forward_daemon.run(paths.stack_dir("dev") / forward.SPEC_FILE) == 1


def write_spec(port: int) -> Path:
    path = paths.stack_dir("dev") / forward.SPEC_FILE
    path.write_text(
        json.dumps({"cluster": "dev", "kubeconfig": "/k", "context": None, "namespace": "ns", "local_port": port})
    )
    return path


def test_a_port_that_was_taken_meanwhile_is_told_in_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert forward_daemon.run(write_spec(port)) == 1
    assert f"ended: 127.0.0.1:{port} cannot be used" in capfd.readouterr().err


def test_fault_27_an_unexpected_error_is_logged_without_its_text(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def fail(_daemon: object) -> None:
        raise ValueError(LEAK)

    monkeypatch.setattr(forward_daemon.Daemon, "run", fail)
    spec = str(write_spec(free_port()))
    assert run_main("a forward", lambda: forward_daemon.main([spec])) == 1
    said = capfd.readouterr().err
    assert "unexpected error: ValueError, in: a forward" in said
    assert "secret" not in said


def test_fault_27_an_error_that_the_event_loop_reports_is_logged_without_its_text(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def fail(_daemon: object) -> None:
        def leak() -> None:
            raise ValueError(LEAK)

        asyncio.get_running_loop().call_soon(leak)
        await asyncio.to_thread(int)

    monkeypatch.setattr(forward_daemon.Daemon, "run", fail)
    assert forward_daemon.run(write_spec(free_port())) == 0
    said = capfd.readouterr().err
    assert "ValueError" in said
    assert "secret" not in said


def test_fault_27_the_log_is_bounded_and_does_not_repeat_itself(tmp_path: Path) -> None:
    log = tmp_path / "forward.log"
    lines = "".join(f"log.say('line {number} ' + 'x' * 1000)\n" for number in range(10)) + "log.say('same')\n" * 5
    program = f"from kinky.reach import forward_daemon as d\nd.LOG_LIMIT_BYTES = 2500\nlog = d.Log()\n{lines}"
    pid = process.spawn_detached(
        [sys.executable, "-c", program], log=log, env={"PYTHONPATH": str(paths.project_root())}
    )
    os.waitpid(pid, 0)
    text = log.read_text()
    assert text.count("same") == 1
    assert len(text) < 2500 + 1100
