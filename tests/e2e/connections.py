"""Long-lived connections to the inner API, and many short ones that end in every way meanwhile."""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from kinky import names, paths
from kinky.manifests import pods
from kinky.manifests.addons import kube_proxy
from kinky.reach import forward
from kinky.releases import default_release
from kinky.retry import pause
from tests.e2e.person import Person, wait_for
from tests.e2e.services import select

NAMESPACE: Final = "default"
SPEAKER: Final = "speaker"
"""A pod that writes a line each two seconds, and whose shell can be entered."""
SHELL: Final = "/bin/busybox"
"""The node's own: it is static, and no system image has a shell."""
ROUNDS: Final = 10
KUBECTL_SECONDS: Final = 120
DELIVER_SECONDS: Final = 180.0
POD: Final[dict[str, Any]] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": SPEAKER, "namespace": NAMESPACE},
    "spec": {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "c",
                "image": default_release().system_images["web"],
                "imagePullPolicy": pods.PULL_POLICY,
                "command": [SHELL, "sh", "-c", f"while :; do {SHELL} date; {SHELL} sleep 2; done"],
                "volumeMounts": [{"name": "shell", "mountPath": SHELL, "readOnly": True}],
            }
        ],
        "volumes": [{"name": "shell", "hostPath": {"path": "/usr/bin/busybox", "type": "File"}}],
    },
}


@dataclass
class Session:
    """A kubectl that runs on, and the lines that it has printed."""

    name: str
    running: subprocess.Popen[bytes]
    lines: list[bytes] = field(default_factory=list)

    def read(self) -> None:
        """Keep each line as it comes; runs in a thread."""
        assert self.running.stdout is not None
        for line in self.running.stdout:
            self.lines.append(line)

    def delivers(self, act: Callable[[], object]) -> None:
        """Assert that it prints something that was not there before this act."""
        before = len(self.lines)
        assert self.running.poll() is None, f"{self.name} has ended: {self.lines[-3:]}"
        act()
        wait_for(f"a new line of {self.name}", lambda: len(self.lines) > before, limit_seconds=DELIVER_SECONDS)
        assert self.running.poll() is None, f"{self.name} has ended: {self.lines[-3:]}"


def check_independent(person: Person) -> None:
    """Assert that a watch, a log and a session in a pod outlive fifty connections that end in every way."""
    settings = person.environment()
    proxies = ("--namespace", names.NAMESPACE_SYSTEM, "--selector", select(kube_proxy.APP))
    proxy = person.kubectl("get", "pods", *proxies, "--output", "name").split()[0]
    with ExitStack() as end:
        end.enter_context(_speaker(person))
        watch, log, inside = (
            end.enter_context(_start(name, arguments, settings))
            for name, arguments in (
                ("watch", ("get", "pods", "--all-namespaces", "--watch")),
                ("log", ("logs", "--namespace", NAMESPACE, SPEAKER, "--follow", "--tail", "1")),
                ("exec", ("exec", "--namespace", NAMESPACE, "--stdin", SPEAKER, "--", SHELL, "cat")),
            )
        )

        def check(beat: int) -> None:
            label = ("label", "pod", SPEAKER, "--namespace", NAMESPACE, "--overwrite", f"beat={beat}")
            watch.delivers(lambda: person.kubectl(*label))
            log.delivers(lambda: None)
            inside.delivers(lambda: _say(inside.running, f"line {beat}\n"))

        check(0)
        for beat in range(1, ROUNDS + 1):
            for way in WAYS:
                way(person, proxy, settings)
                for session in (watch, log, inside):
                    told = f"{session.name} has ended after {way.__name__}: {session.lines[-3:]}"
                    assert session.running.poll() is None, told
            check(beat)


def _end_with_success(person: Person, proxy: str, settings: dict[str, str]) -> None:
    command = ("exec", "--namespace", names.NAMESPACE_SYSTEM, proxy, "--", "/usr/local/bin/kube-proxy", "--version")
    assert _run(command, settings) == 0


def _end_with_failure(person: Person, proxy: str, settings: dict[str, str]) -> None:
    assert _run(("exec", "--namespace", NAMESPACE, SPEAKER, "--", SHELL, "sh", "-c", "exit 1"), settings) == 1


def _end_by_kill(person: Person, proxy: str, settings: dict[str, str]) -> None:
    command = ("logs", "--namespace", NAMESPACE, SPEAKER, "--follow")
    with _start("killed", command, settings) as session:
        wait_for("a line", lambda: session.lines, limit_seconds=DELIVER_SECONDS)
        session.running.kill()


def _end_by_reset(person: Person, proxy: str, settings: dict[str, str]) -> None:
    with socket.create_connection(("127.0.0.1", _find_port(person)), timeout=30) as client:
        # The first bytes of a TLS handshake, so that the API server has taken the connection.
        client.sendall(bytes.fromhex("160301") + b"\x00\x05")
        pause(0.5)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _end_in_the_handshake(person: Person, proxy: str, settings: dict[str, str]) -> None:
    """End a handshake as a client does that does not trust the server."""
    with (
        socket.create_connection(("127.0.0.1", _find_port(person)), timeout=60) as client,
        suppress(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(client, server_hostname="nobody.test").close()
        raise AssertionError("a stranger trusts the inner API")


WAYS: Final = (_end_with_success, _end_with_failure, _end_by_kill, _end_by_reset, _end_in_the_handshake)


def _find_port(person: Person) -> int:
    spec = forward.read_spec(paths.stack_dir(person.stack.cluster) / forward.SPEC_FILE)
    assert spec is not None
    return spec.local_port


@contextmanager
def _speaker(person: Person) -> Iterator[None]:
    """Run the pod while the block runs."""
    manifest = person.scratch / "speaker.json"
    manifest.write_text(json.dumps(POD))
    person.kubectl("create", "--filename", str(manifest))
    try:
        ready = ("wait", "pod", SPEAKER, "--namespace", NAMESPACE, "--for", "condition=Ready", "--timeout", "170s")
        person.kubectl(*ready, limit_seconds=180)
        yield
    finally:
        person.kubectl("delete", "--filename", str(manifest), limit_seconds=180)


@contextmanager
def _start(name: str, arguments: tuple[str, ...], settings: dict[str, str]) -> Iterator[Session]:
    """Start a kubectl that runs on; it ends with the block."""
    with subprocess.Popen(
        ["env", "kubectl", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_build_environment(settings),
    ) as running:
        session = Session(name, running)
        reader = threading.Thread(target=session.read)
        reader.start()
        try:
            yield session
        finally:
            running.kill()
            reader.join()


def _run(arguments: tuple[str, ...], settings: dict[str, str]) -> int:
    return subprocess.run(
        ["env", "kubectl", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_build_environment(settings),
        timeout=KUBECTL_SECONDS,
        check=False,
    ).returncode


def _say(running: subprocess.Popen[bytes], text: str) -> None:
    assert running.stdin is not None
    running.stdin.write(text.encode())
    running.stdin.flush()


def _build_environment(settings: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **settings}
