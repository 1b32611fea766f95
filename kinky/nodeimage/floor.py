"""The floor of the bench: the node image and its user-data under bare QEMU, without KubeVirt and a host cluster.

All nodes share one segment whose gateway and DHCP server is the first machine's QEMU. Addresses of nodes have to lie in
10.0.2.96/27: the guests answer for the address on `lo`, so no routes are needed.
"""

from __future__ import annotations

import re
import socket
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kinky import process, retry
from kinky.errors import KinkyError
from kinky.nodeimage import qemu, segment
from kinky.nodeimage.build import NodeImage

_STAGE = re.compile(rb"kinky: stage (\S+) ([0-9.]+)")
_GATEWAY = "gateway"
_FAILED = re.compile(rb"kinky: FAILED [^\r\n]*")


@dataclass(frozen=True, kw_only=True)
class FloorNode:
    """One machine of the floor; sizes as in the stack, user-data and credentials as in its Secrets."""

    name: str
    role: str
    cores: int
    memory_mib: int
    address: str
    user_data: str
    credentials: Mapping[str, bytes]
    data_gib: int = 8
    etcd_gib: int = 2


@dataclass
class NodeTimes:
    """When a machine reported its stages: seconds since all were started, and its own uptime."""

    seconds: dict[str, float] = field(default_factory=dict)
    uptime_seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class Floor:
    """Machines that are running: where the first one's API answers on this machine, and what was seen so far."""

    api_port: int
    times: dict[str, NodeTimes]
    pids: Mapping[str, int]
    started: float
    folder: Path
    """Where the console of each machine is logged."""
    program: str = "qemu-system-x86_64"
    """Text in the command line of each process."""
    log: Path | None = None
    """The output of the programs, apart from the machines' own."""

    def elapsed_seconds(self) -> float:
        """Return the seconds since all machines were started."""
        return time.monotonic() - self.started

    def read_consoles(self) -> None:
        """Note the stages that came up on the consoles since the last look.

        Raises:
            KinkyError: A node reports a failed stage, or a machine is gone.
        """
        for name, times in self.times.items():
            text = _console(self.folder, name).read_bytes()
            for stage, uptime in _STAGE.findall(text):
                if (key := stage.decode()) not in times.seconds:
                    times.seconds[key] = self.elapsed_seconds()
                    times.uptime_seconds[key] = float(uptime)
            failed = _FAILED.search(text)
            gone = not process.is_alive(self.pids[name], expect=self.program)
            if failed or gone:
                seen = failed[0].decode() if failed else "the program that runs it has ended"
                said = {"console": text, "log": self.log.read_bytes() if self.log else b""}
                details = [f"{source}: {line}" for source, body in said.items() for line in _last_lines(body)]
                raise KinkyError(f"node {name}: {seen}", details=details)

    def wait_until(self, check: Callable[[], bool], *, what: str, deadline_seconds: float) -> float:
        """Wait until an outside check holds; return the seconds since the start.

        Raises:
            WaitError: It did not within the deadline.
        """

        def look() -> bool | retry.Pending:
            self.read_consoles()
            return check() or retry.Pending("not yet")

        retry.wait_until(look, what=what, deadline_seconds=deadline_seconds, every_seconds=0.5)
        return self.elapsed_seconds()


@contextmanager
def running(
    image: NodeImage, nodes: Sequence[FloorNode], *, folder: Path, accelerator: str = "tcg", cpu_model: str = "max"
) -> Iterator[Floor]:
    """Start all machines at once and yield them; they end with the block. `folder` must be empty and private."""
    program = qemu.ensure_qemu()
    machines = []
    api_port = find_free_port()
    for node in nodes:
        machines.append(
            qemu.Machine(
                name=node.name,
                cores=node.cores,
                memory_mib=node.memory_mib,
                disks=_disks(image, node, folder=folder),
                network=_network(node, gateway=node is nodes[0], api_port=api_port, folder=folder),
                console=_console(folder, node.name),
                agent=folder / f"{node.name}.agent",
                accelerator=accelerator,
                cpu_model=cpu_model,
            )
        )
        _console(folder, node.name).touch()
    ports = [folder / f"{name}.port" for name in (_GATEWAY, *(node.name for node in nodes))]
    pids: dict[str, int] = {}
    with segment.running(ports):
        started = time.monotonic()
        try:
            for machine in machines:
                pids[machine.name] = qemu.start(program, machine, log=folder / f"{machine.name}.qemu.log")
            times = {node.name: NodeTimes() for node in nodes}
            yield Floor(api_port=api_port, times=times, pids=pids, started=started, folder=folder)
        finally:
            for pid in pids.values():
                process.terminate(pid, expect="qemu-system-x86_64")


def _disks(image: NodeImage, node: FloorNode, *, folder: Path) -> list[qemu.Disk]:
    disks = [
        qemu.Disk(path=image.disk, serial="root", format="qcow2", keep=False),
        qemu.Disk(path=_disc(folder / f"{node.name}.seed.iso", "cidata", build_seed(node)), serial="cidata"),
        qemu.Disk(path=_disc(folder / f"{node.name}.creds.iso", "cfgdata", node.credentials), serial="kinky-creds"),
        qemu.Disk(path=make_blank(folder / f"{node.name}.data.raw", node.data_gib), serial="kinky-data"),
    ]
    if node.role == "control-plane":
        disks.append(qemu.Disk(path=make_blank(folder / f"{node.name}.etcd.raw", node.etcd_gib), serial="kinky-etcd"))
    return disks


def build_seed(node: FloorNode) -> dict[str, bytes]:
    """Return cloud-init's source: file names and their content."""
    return {
        "meta-data": f"instance-id: {node.name}\nlocal-hostname: {node.name}\n".encode(),
        "user-data": node.user_data.encode(),
        "network-data": b"version: 2\nethernets: {eth0: {dhcp4: true}}\n",
    }


def build_gateway(name: str, *, address: str, api_port: int) -> list[str]:
    """Return QEMU's arguments for the segment's gateway and DHCP server, which forwards a machine's API to this one."""
    forward = f"hostfwd=tcp:127.0.0.1:{api_port}-{address}:6443"
    return ["-netdev", f"user,id={name},{forward}", "-netdev", f"hubport,hubid=0,id=inner,netdev={name}"]


def build_mac(name: str) -> str:
    """Return the address of a node's interface: the same at every run."""
    return f"52:54:{zlib.crc32(name.encode()).to_bytes(4, 'big').hex(':')}"


def _network(node: FloorNode, *, gateway: bool, api_port: int, folder: Path) -> list[str]:
    arguments = ["-netdev", f"stream,id=nic,server=off,{_segment(folder, node.name)}"]
    if gateway:
        # The first machine's QEMU is the gateway too.
        arguments += build_gateway("outside", address=node.address, api_port=api_port)
        arguments += ["-netdev", f"stream,id=uplink,server=off,{_segment(folder, _GATEWAY)}"]
        arguments += ["-netdev", "hubport,hubid=0,id=outer,netdev=uplink"]
    return [*arguments, "-device", f"virtio-net-pci,netdev=nic,mac={build_mac(node.name)}"]


def _segment(folder: Path, name: str) -> str:
    return f"addr.type=unix,addr.path={folder / name}.port"


def _disc(target: Path, label: str, files: Mapping[str, bytes]) -> Path:
    folder = target.with_suffix("")
    folder.mkdir(mode=0o700)
    for name, body in files.items():
        (folder / name).write_bytes(body)
    process.run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-V", label, "-J", "-R", "-o", target, folder],
        reason=f"write the disc {label}",
        hint="apt-get install xorriso",
    )
    target.chmod(0o600)
    return target


def make_blank(target: Path, gib: int) -> Path:
    """Make an empty disk, of which only what is written takes room."""
    with target.open("wb") as handle:
        handle.truncate(gib << 30)
    return target


def _console(folder: Path, name: str) -> Path:
    return folder / f"{name}.console.log"


def _last_lines(text: bytes) -> list[str]:
    return text[-2000:].decode(errors="replace").splitlines()[-5:]


def find_free_port() -> int:
    """Return a port of the loopback address that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
