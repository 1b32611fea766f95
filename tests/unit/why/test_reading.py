"""Reading a node from both APIs: what is there, what is not, and what cannot be read."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kinky.cli import why as why_command
from kinky.errors import HostError
from kinky.stacks.file import read_stack_file
from kinky.status.target import Target
from kinky.why.facts import OPEN, REFUSED, SILENT, UNKNOWN
from kinky.why.ladder import explain
from kinky.why.reading import Ways, ask_port, read_cluster, read_inner, read_node
from tests.unit.status.healthy import NS, VMIS, VMS, Healthy, add_node, serve_healthy

WORKER = "dev-worker-0"
LAUNCHER = {"kinky.dev/node": WORKER, "kubevirt.io": "virt-launcher"}


@pytest.fixture
def healthy(tmp_path: Path) -> Iterator[Healthy]:
    with serve_healthy(tmp_path) as made:
        secrets = {"dev-worker-0-user-data-1": "userdata", "dev-worker-0-credentials-1": "ca.crt"}
        for name, key in secrets.items():
            value = base64.b64encode(b"#cloud-config\n").decode()
            made.host.add(f"{NS}/secrets", name, data={key: value})
        volumes = [
            {"name": "root", "containerDisk": {"image": "kinky.internal/node:1"}},
            {"name": "cidata", "cloudInitNoCloud": {"secretRef": {"name": "dev-worker-0-user-data-1"}}},
            {"name": "credentials", "secret": {"secretName": "dev-worker-0-credentials-1"}},
        ]
        template = {"domain": {"memory": {"guest": "2Gi"}}, "volumes": volumes}
        made.host.objects[f"{VMS}/{WORKER}"]["spec"] = {"template": {"spec": template}}
        pod = {"containers": [{"name": "guest-console-log"}]}
        made.host.add(
            f"{NS}/pods", "virt-launcher-1", metadata={"labels": LAUNCHER}, spec=pod, status={"phase": "Running"}
        )
        made.host.answer("GET", f"{NS}/pods/virt-launcher-1/log", "kinky: stage kernel 1.0\nkinky: stage done 9.0\n")
        yield made


def ways(target: Target) -> Ways:
    return Ways(stack="dev", config=target.config, reach=target.reach, open_port=target.open_port)


def say(healthy: Healthy, node: str = WORKER) -> tuple[str, str]:
    found = ways(healthy.target())
    inner = read_inner(found)
    spec = next(each for each in healthy.target().nodes if each.name == node)
    told = explain(read_node(found, spec, inner), read_cluster(found, inner))
    return told.missing, told.sentence


def test_a_worker_that_is_up(healthy: Healthy) -> None:
    assert say(healthy) == ("", "dev-worker-0 is Ready and takes pods")


def test_a_service_and_secrets_that_are_gone_or_damaged(healthy: Healthy) -> None:
    secrets = f"{NS}/secrets/dev-worker-0"
    value = base64.b64encode(b"garbage").decode()
    kept = dict(healthy.host.objects)
    healthy.host.objects[f"{secrets}-user-data-1"]["data"] = {"userdata": value}
    assert say(healthy)[0] == "Secrets there" and "dev-worker-0-user-data-1" in say(healthy)[1]
    del healthy.host.objects[f"{secrets}-credentials-1"]
    assert "dev-worker-0-credentials-1" in say(healthy)[1]
    healthy.host.objects = kept
    del healthy.host.objects[f"{NS}/services/{WORKER}"]
    assert say(healthy)[0] == "S-address given"


def test_a_node_that_stopped_to_report_is_asked_at_its_port(healthy: Healthy) -> None:
    add_node(healthy, WORKER, "10.96.0.3", ready=False)
    condition = healthy.inner.objects[f"/api/v1/nodes/{WORKER}"]["status"]["conditions"][0]
    condition |= {"status": "Unknown", "message": "Kubelet stopped posting node status."}
    healthy.ports[(WORKER, 10250)] = healthy.serve(fault="reset").port
    assert say(healthy) == ("kubelet", "the kubelet of dev-worker-0 does not run, although its guest does")


def test_an_api_that_is_away_is_told_by_the_worker_too(healthy: Healthy) -> None:
    healthy.inner.down = True
    missing, sentence = say(healthy)
    assert missing == "registered" and "the API is away" in sentence


def test_flannel_that_is_away_from_a_node(healthy: Healthy) -> None:
    del healthy.inner.objects["/api/v1/namespaces/kube-system/pods/flannel-1"]
    assert say(healthy)[0] == "network"


def test_what_cannot_be_read_is_left_out(healthy: Healthy) -> None:
    for path in (f"{VMIS}/{WORKER}", f"{NS}/secrets/dev-worker-0-user-data-1"):
        healthy.host.answer("GET", path, {"reason": "Forbidden"}, status=403)
    assert say(healthy)[0] == "launcher"


def test_a_port_is_open_refused_or_silent() -> None:
    def run(answer: bytes | None, *, close: bool) -> str:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            held: list[socket.socket] = []

            def serve() -> None:
                for _ in range(2):
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    held.append(connection)
                    if close:
                        connection.close()
                    elif answer and connection.recv(100):
                        connection.sendall(answer)

            threading.Thread(target=serve, daemon=True).start()

            @contextmanager
            def open_port(_node: str, _port: int) -> Iterator[int]:
                yield listener.getsockname()[1]

            found = ask_port(Ways(stack="", config=None, reach=None, open_port=open_port), "n")  # type: ignore[arg-type]
            for each in held:
                each.close()
            return found

    assert run(b"HTTP/1.0 400", close=False) == OPEN
    assert run(None, close=True) == REFUSED
    assert run(None, close=False) == SILENT


def test_a_node_without_a_way_is_unknown() -> None:
    def open_port(_node: str, _port: int) -> None:
        raise HostError("no launcher pod")

    assert ask_port(Ways(stack="", config=None, reach=None, open_port=open_port), "n") == UNKNOWN  # type: ignore[arg-type]


def test_the_command_prints_the_worst_first_and_its_code(
    healthy: Healthy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from kinky.cli import main

    monkeypatch.setattr(why_command, "open_cluster", lambda _stack: healthy.target())
    assert main.main(["why", "dev-worker-0", "--stack", "dev"]) == 0
    assert capsys.readouterr().out == "✓ dev-worker-0 is Ready and takes pods\n"
    del healthy.host.objects[f"{NS}/services/{WORKER}"]
    assert main.main(["why", "--stack", "dev"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("✗ ") and any("next step: pulumi refresh" in line for line in lines)
    assert main.main(["why", "dev-worker-0", "--json", "--stack", "dev"]) == 2
    assert '"missing": "S-address given"' in capsys.readouterr().out
    assert main.main(["why", "nobody", "--stack", "dev"]) == 64
    assert "its nodes are dev-control-plane-0, dev-worker-0" in capsys.readouterr().err


def test_after_a_failed_up_the_same_sentence_is_told(
    healthy: Healthy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack_file = read_stack_file("dev")
    monkeypatch.setattr(why_command, "open_cluster", lambda _stack: healthy.target())
    del healthy.host.objects[f"{NS}/services/{WORKER}"]
    why_command.tell_why(stack_file)
    told = capsys.readouterr().err
    assert "the Service dev-worker-0 on the host is gone" in told and "next step: pulumi refresh" in told
    for node in healthy.nodes:
        del healthy.host.objects[f"{VMS}/{node}"]
    why_command.tell_why(stack_file)
    assert capsys.readouterr().err == "", "without VMs up has failed before the nodes"


def test_after_a_failed_up_a_host_that_is_away_adds_no_second_error(capsys: pytest.CaptureFixture[str]) -> None:
    why_command.tell_why(read_stack_file("dev"))
    assert capsys.readouterr().err == ""
