"""Bare QEMU: a newer one than this machine's, from Debian packages, run without a chroot by its own loader.

Serves the bench's floor (the node image without KubeVirt) and the accelerator's probe.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kinky import process
from kinky.nodeimage import debian

_PACKAGES = ("qemu-system-x86",)
_LIBRARIES = "usr/lib/x86_64-linux-gnu"


@dataclass(frozen=True, kw_only=True)
class Qemu:
    """A QEMU for x86-64: how to call it, and the environment it needs."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A virtio disk; without `keep`, changes go to a temporary file. The serial is for the guest."""

    path: Path
    serial: str
    format: str = "raw"
    keep: bool = True


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A virtual machine: memory in MiB, disks in the order of the guest's names, network as QEMU's arguments."""

    name: str
    cores: int
    memory_mib: int
    disks: Sequence[Disk]
    network: Sequence[str]
    console: Path
    accelerator: str = "tcg"
    cpu_model: str = "max"
    agent: Path | None = None


def ensure_qemu() -> Qemu:
    """Return trixie's QEMU, unpacked into the cache if need be (two emulated processors crash on older ones)."""
    return find_qemu(debian.ensure_programs(_PACKAGES))


def find_qemu(tree: Path) -> Qemu:
    """Return the QEMU of a tree of Debian packages, called without a chroot."""
    library_path = f"{tree / _LIBRARIES}:{tree / _LIBRARIES / 'pulseaudio'}"
    return Qemu(
        command=(
            *(str(tree / "usr/lib64/ld-linux-x86-64.so.2"), "--library-path", library_path),
            str(tree / "usr/bin/qemu-system-x86_64"),
            *("-L", str(tree / "usr/share/qemu"), "-L", str(tree / "usr/share/seabios")),
        ),
        environment={"QEMU_MODULE_DIR": str(tree / _LIBRARIES / "qemu")},
    )


def build_arguments(machine: Machine) -> list[str]:
    """Return QEMU's arguments: the devices that KubeVirt gives, and nothing that a node does not use."""
    emulated = machine.accelerator != "kvm"
    arguments = [
        *("-name", machine.name, "-uuid", str(uuid.uuid5(uuid.NAMESPACE_DNS, machine.name))),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-machine", "q35,sata=off,hpet=off,vmport=off,smm=off"),
        *("-accel", "tcg,thread=multi,tb-size=512" if emulated else "kvm"),
        *("-cpu", machine.cpu_model if emulated else "host"),
        *("-smp", str(machine.cores), "-m", str(machine.memory_mib)),
        *("-serial", f"file:{machine.console}", "-device", "virtio-rng-pci"),
    ]
    if emulated:
        # The node's boot loader reads it, as it does from the VirtualMachine's chassis.
        arguments += ["-smbios", "type=3,asset=emulated"]
    if machine.agent is not None:
        # The guest agent's port, as KubeVirt has it; what listens is a socket on this machine.
        arguments += ["-chardev", f"socket,id=agent,path={machine.agent},server=on,wait=off"]
        arguments += ["-device", "virtio-serial-pci"]
        arguments += ["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
    for number, disk in enumerate(machine.disks):
        snapshot = "off" if disk.keep else "on"
        # Lost writes do not matter: what is measured is processor time, and every disk is thrown away.
        drive = f"if=none,id=disk{number},file={disk.path},format={disk.format},cache=unsafe,snapshot={snapshot}"
        device = f"virtio-blk-pci,drive=disk{number},serial={disk.serial}" + (",bootindex=1" if number == 0 else "")
        arguments += ["-drive", drive, "-device", device]
    return [*arguments, *machine.network]


def start(qemu: Qemu, machine: Machine, *, log: Path) -> int:
    """Start a machine in the background and return QEMU's process id."""
    return process.spawn_detached([*qemu.command, *build_arguments(machine)], log=log, env=qemu.environment)
