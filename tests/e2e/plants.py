"""Plants: a value that somebody puts where no secret may be, for `kinky scan` to find."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kinky import paths
from kinky.embedded.layout import default_layout
from kinky.kube.host import HostApi
from kinky.reach.host import find_host
from kinky.scan import disks
from kinky.scan.kind import Kind
from tests.e2e import guests
from tests.e2e.person import ROOT, Person, wait_for

NAME = "planted"
ELSEWHERE = {Kind.PASSPHRASE_FILE, Kind.STAGED}
"""One holds nothing but the passphrase, and the other is what a commit hook looks at."""


def make_value() -> str:
    """Return a value that nobody else has."""
    return f"{NAME}-{secrets.token_hex(16)}"


def list_files(person: Person, named: Path) -> list[Path]:
    """Return the files to make: of Pulumi, the stack, reports, the host, the checkout, and two that are named."""
    return [
        paths.pulumi_backend_dir() / ".pulumi" / f"{NAME}.json",
        paths.pulumi_home() / f"{NAME}.log",
        paths.stack_dir(person.stack.config.cluster.name) / f"{NAME}.log",
        paths.reports_dir() / f"{NAME}.txt",
        default_layout().logs / f"{NAME}.log",
        ROOT / f"{NAME}.txt",
        named / f"{NAME}.log",
        named / f"{NAME}.raw",
    ]


@contextmanager
def plant_file(file: Path, value: str) -> Iterator[None]:
    """Write a file that was not there."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
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
    person.host("create", "--raw", f"/api/v1/namespaces/{namespace}/events", "-f", _write(person, event))


def plant_in_guests(person: Person, value: str) -> None:
    """Write it to the worker's console and data disk, and to the control plane's etcd volume."""
    guests.run_anywhere(
        person, person.worker, f"echo {value} > /dev/console; echo {value} > /var/lib/kinky/data/{NAME}; sync"
    )
    guests.run_anywhere(person, person.control_plane, f"echo {value} > /var/lib/etcd/{NAME}; sync")
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


def _write(person: Person, body: dict[str, Any]) -> str:
    """Write an object to a file for kubectl."""
    file = person.scratch / f"{NAME}.json"
    file.write_text(json.dumps(body))
    return str(file)
