"""A planted secret for each kind of artefact that `kinky scan` searches, on a cluster: `make e2e-slow`."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kinky import paths, process
from kinky.embedded.layout import default_layout
from kinky.errors import CommandError
from kinky.kube.host import HostApi
from kinky.program import find_host
from kinky.scan import disks
from kinky.scan.kind import Kind
from tests.e2e import leaks
from tests.e2e.person import KINKY, ROOT, SCAN_SECONDS, UP_SECONDS, VERBOSE, Person, wait_for

pytestmark = [pytest.mark.host, pytest.mark.slow_rotation]

NAME = "planted"
ELSEWHERE = {Kind.PASSPHRASE_FILE, Kind.STAGED}
"""One holds nothing but the passphrase, and the other is what a commit hook looks at: below."""


def test_s2_a_planted_secret_is_found_in_each_kind_of_artefact(person: Person, tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.mkdir()
    # The first one makes the stack; plain pulumi then says all that it knows of its creation.
    person.kinky("preview", "--stack", person.stack.stack, limit_seconds=300)
    creation = ("up", "--yes", "--skip-preview", *VERBOSE)
    person.pulumi(*creation, limit_seconds=UP_SECONDS, log=named / "up.log")
    value = f"{NAME}-{secrets.token_hex(16)}"
    (tmp_path / "value").write_text(value)
    person.kinky("secrets", "set", NAME, "--file", str(tmp_path / "value"), "--stack", person.stack.stack)
    with ExitStack() as planted:
        for file in list_files(person, named):
            planted.enter_context(plant_file(file, value))
        planted.enter_context(plant_output(person, value))
        planted.enter_context(plant_process(value))
        process.run(["git", "hash-object", "-w", "--stdin"], reason="plant", stdin=value.encode(), cwd=ROOT)
        plant_objects(person, value)
        plant_in_guests(person, value)
        plant_behind_credentials(person, value)
        report = json.loads(person.ask("scan", "--json", str(named), limit_seconds=SCAN_SECONDS))
    leaks.keep_figures(person, report)
    assert all(NAME in hit["secret"] for hit in report["unexpectedHits"])
    found = {hit["kind"] for hit in report["unexpectedHits"]}
    assert found == {str(kind) for kind in set(Kind) - ELSEWHERE}
    assert report["kinds"][Kind.PASSPHRASE_FILE]["expectedHits"] == 1
    assert report["missingHits"] == []


def test_s2_a_staged_key_stops_a_commit(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for arguments in (["init", "-q"], ["add", "-A"]):
        (tmp_path / "notes.txt").write_bytes(b"keep this:\n" + key)
        process.run(["git", *arguments], reason="stage a key", cwd=tmp_path)
    with pytest.raises(CommandError, match=f"unexpected: .* in {Kind.STAGED} notes.txt"):
        process.run([KINKY, "scan", "--staged"], reason="test", cwd=tmp_path)


def test_the_end_takes_the_plants_along(person: Person) -> None:
    for kind in ("event", "configmap", "secret"):
        person.host("delete", kind, NAME)
    person.destroy()
    assert person.left_on_host() == set()


def list_files(person: Person, named: Path) -> list[Path]:
    """Return the files to make: of Pulumi, of the stack, of the host, of the checkout, and two that are named."""
    return [
        paths.pulumi_backend_dir() / ".pulumi" / f"{NAME}.json",
        paths.pulumi_home() / f"{NAME}.log",
        paths.stack_dir(person.stack.config.cluster.name) / f"{NAME}.log",
        default_layout().logs / f"{NAME}.log",
        ROOT / f"{NAME}.txt",
        named / f"{NAME}.log",
        named / f"{NAME}.raw",
    ]


@contextmanager
def plant_file(file: Path, value: str) -> Iterator[None]:
    """Write a file that was not there."""
    with file.open("x") as new:
        new.write(f"before {value} behind\n")
    try:
        yield
    finally:
        file.unlink()


@contextmanager
def plant_output(person: Person, value: str) -> Iterator[None]:
    """Let Pulumi print it: as what the workload says from the next `up` on, which does not come."""
    kept = person.stack.path.read_text()
    assert "greeting: hello" in kept
    person.stack.path.write_text(kept.replace("greeting: hello", f"greeting: {value}"))
    try:
        yield
    finally:
        person.stack.path.write_text(kept)


@contextmanager
def plant_process(value: str) -> Iterator[None]:
    """Give it to a process in its environment."""
    with subprocess.Popen(["sleep", "infinity"], env={"PLANTED": value}) as running:
        try:
            yield
        finally:
            running.kill()


def plant_objects(person: Person, value: str) -> None:
    """Write it into one object of each kind that the host namespace has."""
    worker, launcher = person.worker, person.launcher(person.worker)
    (claim,) = person.host("get", "persistentvolumeclaims", "--output", "name").split()
    named = (f"{kind}/{worker}" for kind in ("virtualmachine", "virtualmachineinstance", "service"))
    for target in (*named, launcher, claim):
        person.host("annotate", target, f"kinky.dev/{NAME}={value}")
    person.host("create", "configmap", NAME, f"--from-literal=text={value}")
    person.host("create", "secret", "generic", NAME, f"--from-literal=text={value}")
    namespace = person.stack.config.host.namespace
    event: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": NAME},
        "involvedObject": {"kind": "VirtualMachine", "name": worker, "namespace": namespace},
        "message": value,
        "type": "Normal",
    }
    person.host("create", "--raw", f"/api/v1/namespaces/{namespace}/events", "-f", write(person, event))


def plant_in_guests(person: Person, value: str) -> None:
    """Write it to the worker's console and data disk, and to the control plane's etcd volume."""
    run_in_guest(person, person.worker, f"echo {value} > /dev/console; echo {value} > /var/lib/kinky/data/{NAME}; sync")
    run_in_guest(person, person.control_plane, f"echo {value} > /var/lib/etcd/{NAME}; sync")
    read = ("logs", person.launcher(person.worker), "--container", "guest-console-log", "--tail", "50")
    wait_for("the plant on the console", lambda: value in person.host(*read), limit_seconds=60)


def plant_behind_credentials(person: Person, value: str) -> None:
    """Append it to the disk with a worker's credentials, behind its file system."""
    api = HostApi.connect(find_host(person.stack.config))
    source, files = disks.find_disks(api, default_layout().find_outside)
    (disk,) = (
        file
        for artefact, file in zip(source.artefacts, files, strict=True)
        if artefact.kind is Kind.CREDENTIALS_DISK and person.worker in artefact.name
    )
    with disk.open("ab") as end:
        end.write(value.encode())


def run_in_guest(person: Person, node: str, command: str) -> None:
    """Run a shell command in a node, by its guest agent."""
    asked = {"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": ["-c", command]}}
    domain = f"{person.stack.config.host.namespace}_{node}"
    virsh = ("virsh", "-q", "qemu-agent-command", domain, json.dumps(asked))
    person.host("exec", person.launcher(node), "--container", "compute", "--", *virsh)


def write(person: Person, body: dict[str, Any]) -> str:
    """Write an object to a file for kubectl."""
    file = person.scratch / f"{NAME}.json"
    file.write_text(json.dumps(body))
    return str(file)
