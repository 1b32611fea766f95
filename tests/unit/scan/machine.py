"""A machine with an embedded host and one stack on it, as far as `kinky scan` looks."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kinky import paths
from kinky.cli import scan_output, scan_sources
from kinky.cli.scan import scan_sources as scan_all
from kinky.cli.scan_sources import build_staged_source, list_sources
from kinky.embedded.layout import default_layout
from kinky.keys.material import make_cluster_files
from kinky.kube.access import HostAccess
from kinky.kube.connection import Reply
from kinky.kube.host import HostApi
from kinky.scan import disks
from kinky.scan.files import find_processes
from kinky.scan.known import read_host_secrets
from kinky.scan.report import Report
from kinky.scan.secret import KnownSecret
from kinky.scan.source import Source
from kinky.stacks.file import StackFile, read_stack_file
from tests.unit.fake_api import FakeConnection
from tests.unit.scan import plants

NAMESPACE = "/api/v1/namespaces/kinky-dev"
CONTROL_PLANE, WORKER = "dev-control-plane-0", "dev-worker-0"
WORKER_SECRET = f"{WORKER}-credentials-12345678"
CLAIM = f"{CONTROL_PLANE}-etcd"
VOLUMES = ("private", "libvirt-runtime", "ephemeral-disks")
PKI, WORKER_KEYS = make_cluster_files("dev"), make_cluster_files("worker")
SECRETS: dict[str, dict[str, bytes]] = {
    "dev-pki": PKI,
    WORKER_SECRET: {
        "kubelet-client.key": WORKER_KEYS["sa.key"],
        "kubelet-serving.key": WORKER_KEYS["ca.key"],
        "kubelet-client.crt": WORKER_KEYS["ca.crt"],
    },
    "dev-store-message": {"message": b"the message of the store"},
}
USER_DATA = "ephemeral-disks/cloud-init-data/kinky-dev/node/noCloud.iso"
FILL = 3 << 16


@dataclass
class Machine:
    """What the tests put something into."""

    connection: FakeConnection
    root: Path
    stack: StackFile
    extra: list[Path] = field(default_factory=list)
    log: bytes = b"booted\n"

    @property
    def api(self) -> HostApi:
        return HostApi(self.connection, HostAccess(kubeconfig="/k", context=None, namespace="kinky-dev", cluster="dev"))  # type: ignore[arg-type]

    def disk(self, node: str, path: str) -> Path:
        """Return a disk in the launcher pod of a node."""
        volume, _, rest = path.partition("/")
        folder = default_layout().root / f"kubelet/pods/uid-{launcher(node)}/volumes/kubernetes.io~empty-dir" / volume
        return folder / rest

    @property
    def etcd(self) -> Path:
        return default_layout().volumes / "folder-of-the-volume" / "disk.img"

    def sources(self) -> list[Source]:
        """Return every source that there is; their artefacts can be read once."""
        return [*list_sources(self.stack, self.api, self.extra), build_staged_source(self.root)]

    def scan(self, secrets: list[KnownSecret] | None = None) -> Report:
        """Scan as the command does, for the secrets of the host unless others are given."""
        sources = list_sources(self.stack, self.api, self.extra)
        return scan_all(sources, read_host_secrets(self.api) if secrets is None else secrets)

    def print_by_pulumi(self, text: bytes, *, exit_code: int = 0) -> None:
        """Let Pulumi print this at each run, to standard error."""
        (self.root.parent / "printed").write_bytes(text)
        script = self.root.parent / "pulumi"
        script.write_text(
            f"#!/bin/sh\necho \"$@\" >> '{script}.log'\ncat '{script.parent}/printed' >&2\nexit {exit_code}\n"
        )
        script.chmod(0o700)


def launcher(node: str) -> str:
    return f"virt-launcher-{node}-abcde"


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)


def join(files: dict[str, bytes]) -> bytes:
    """Return files as they lie on an ISO image: at multiples of 2 KiB."""
    return bytes(2048 * 16) + b"".join(body + bytes(-len(body) % 2048) for body in files.values())


def add_vm(
    machine: Machine, node: str, *, secret: str, phase: str = "Running", claim: str = "", container: bool = False
) -> None:
    """Put a launcher pod with its disks there, as KubeVirt makes them, or our launcher for a container guest."""
    role = "control-plane" if node == CONTROL_PLANE else "worker"
    volumes: list[dict[str, object]] = [{"name": name, "emptyDir": {}} for name in VOLUMES]
    volumes.append({"name": "credentials", "secret": {"secretName": secret}})
    if claim:
        volumes.append({"name": "etcd", "persistentVolumeClaim": {"claimName": claim}})
    labels = {
        "kubevirt.io": "virt-launcher",
        "kinky.dev/cluster": "dev",
        "kinky.dev/node": node,
        "kinky.dev/role": role,
    }
    program = "container-launcher" if container else "virt-launcher"
    machine.connection.add(
        f"{NAMESPACE}/pods",
        launcher(node),
        metadata={"labels": labels},
        spec={
            "containers": [{"name": "compute", "image": f"kinky.internal/kubevirt/{program}:v1"}],
            "volumes": volumes,
        },
        status={"phase": phase},
    )
    content = bytes(FILL) + disks.DATA_LABEL.reveal() + bytes(FILL)
    if container:
        for path in (disks.CREDENTIALS, USER_DATA, disks.DATA):
            machine.disk(node, path).unlink(missing_ok=True)
        write(machine.disk(node, disks.CONTAINER_DATA), content)
    else:
        write(machine.disk(node, disks.CREDENTIALS), join(SECRETS[secret]))
        write(machine.disk(node, USER_DATA), bytes(4096) + b"#cloud-config\n")
        write(machine.disk(node, disks.DATA), b"QFI\xfb" + content)
    machine.connection.answers[("GET", f"{NAMESPACE}/pods/{launcher(node)}/log")] = lambda _body: Reply(
        200, machine.log
    )


def add_etcd(machine: Machine) -> None:
    """Put the claim of the control plane there, with its volume and what an encrypting etcd has in it."""
    labels = {"app.kubernetes.io/managed-by": "kinky", "kinky.dev/node": CONTROL_PLANE}
    path = f"{NAMESPACE}/persistentvolumeclaims"
    machine.connection.add(path, CLAIM, metadata={"labels": labels}, spec={"volumeName": "pvc-1"})
    folder = {"hostPath": {"path": "/tmp/hostpath_pv/folder-of-the-volume"}}
    machine.connection.add("/api/v1/persistentvolumes", "pvc-1", spec=folder)
    write(machine.etcd, bytes(1144) + b"kinky-etcd" + bytes(FILL) + b"k8s:enc:secretbox:v1:key-1:" + bytes(range(256)))


def make_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine whose stack has all of its secrets at home."""
    stack = read_stack_file("dev")
    root = folder / "checkout"
    plants.make_repository(root, {"README.md": b"nothing"})
    machine = Machine(FakeConnection(), root, stack)
    monkeypatch.setattr("kinky.paths.project_root", lambda: root)
    monkeypatch.setattr(scan_output, "_find_pulumi", lambda _stack: (folder / "pulumi", {}))
    monkeypatch.setattr(scan_sources, "find_processes", lambda: find_processes(folder / "proc"))
    machine.print_by_pulumi(b"Resources:\n    61 unchanged\n")
    write(folder / "proc" / "12" / "comm", b"sleep\n")
    for part in ("cmdline", "environ"):
        write(folder / "proc" / "12" / part, b"nothing")
    for name, data in SECRETS.items():
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        machine.connection.add(f"{NAMESPACE}/secrets", name, data=encoded)
    add_vm(machine, CONTROL_PLANE, secret="dev-pki", claim=CLAIM)
    add_vm(machine, WORKER, secret=WORKER_SECRET)
    add_etcd(machine)
    paths.passphrase_file().write_bytes(b"")
    return machine
