"""Whether KVM may be used, decided by booting a real kernel under a time limit.

A /dev/kvm that opens proves nothing, even if it creates a VM: in some nested machines a stock kernel hangs. The
trial runs Debian's own kernel in the very QEMU that will run the nodes, with an init that prints one line.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kinky import process
from kinky.accelerator import Accelerator
from kinky.artefacts import layers
from kinky.embedded import kernel_settings, kubevirt_images, layout, machine, store
from kinky.embedded.layout import Layout
from kinky.embedded.machine import Record
from kinky.errors import CommandError, HostError
from kinky.file_lock import file_lock
from kinky.progress import note, phase
from kinky.toolchain.tools import tool_path

DEVICE = Path("/dev/kvm")
BOOT_SECONDS = 20
"""KVM boots this kernel in about two seconds; what takes ten times that is no help to anybody."""
SETTLE_SECONDS = 40
MARKER = "kinky-kernel-booted"
INIT_SOURCE = f"""\
#include <sys/reboot.h>
#include <unistd.h>

int main(void) {{
    write(1, "{MARKER}\\n", {len(MARKER) + 1});
    sync();
    reboot(RB_AUTOBOOT);
    for (;;) pause();
}}
""".encode()
QEMU = (
    "qemu-system-x86_64",
    *(
        "-accel",
        "kvm",
        "-cpu",
        "host",
        "-m",
        "256",
        "-nodefaults",
        "-no-reboot",
        "-display",
        "none",
        "-serial",
        "stdio",
    ),
    *("-kernel", "/trial/vmlinuz", "-initrd", "/trial/initrd", "-append", "console=ttyS0 panic=-1"),
)


@dataclass(frozen=True)
class Verdict:
    """The ground that VMs run on, and the reason."""

    accelerator: Accelerator
    reason: str


def decide(place: Layout, record: Record, *, wanted: str = "auto") -> Verdict:
    """Return the accelerator and say it aloud; what a trial showed is remembered until the machine boots again.

    Raises:
        HostError: KVM was demanded and does not work.
        CommandError: The trial could not be prepared.
    """
    verdict = Verdict(Accelerator.EMULATION, "as asked") if wanted == Accelerator.EMULATION else _probe(place, record)
    if wanted == Accelerator.KVM and verdict.accelerator is not Accelerator.KVM:
        raise HostError(
            f"accelerator kvm was asked for, but {verdict.reason}",
            hint="choose emulation: kinky host up --accelerator auto",
        )
    note(f"accelerator: {verdict.accelerator} ({verdict.reason})")
    return verdict


def build_initrd(init: bytes) -> bytes:
    """Return a cpio archive (newc) with /init and nothing else."""
    return _member("init", 0o100755, init) + _member("TRAILER!!!", 0, b"")


def _member(name: str, mode: int, content: bytes) -> bytes:
    # inode, mode, uid, gid, links, mtime, size, four device numbers, name length, check
    numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _probe(place: Layout, record: Record) -> Verdict:
    """Return what a trial showed, which is remembered, or why there was none, which may be otherwise the next time."""
    if not DEVICE.exists():
        return Verdict(Accelerator.EMULATION, f"this machine has no {DEVICE}")
    try:
        os.close(os.open(DEVICE, os.O_RDWR))
    except OSError as error:
        return Verdict(Accelerator.EMULATION, f"{DEVICE} cannot be opened: {error.strerror}")
    boot = kernel_settings.read_boot_id()
    remembered = place.root / "accelerator.json"
    known = _read(remembered)
    if known.get("boot") == boot:
        return Verdict(Accelerator.parse(known["accelerator"]), known["reason"])
    # Not below the try: packages that cannot be had say nothing about KVM.
    files = _ensure_files()
    try:
        verdict = _try(place, record, files)
    except CommandError as error:
        return Verdict(
            Accelerator.EMULATION, f"{DEVICE} is there, but QEMU could not be tried with it: {error.details[-1]}"
        )
    remembered.write_text(json.dumps({"boot": boot, "accelerator": verdict.accelerator, "reason": verdict.reason}))
    return verdict


def _read(path: Path) -> Mapping[str, str]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _try(place: Layout, record: Record, files: Path) -> Verdict:
    with phase("boot a kernel under kvm", limit_seconds=BOOT_SECONDS + SETTLE_SECONDS):
        output = _boot(place, record, files)
    if MARKER in output:
        return Verdict(Accelerator.KVM, "a kernel booted under it")
    return Verdict(Accelerator.EMULATION, f"{DEVICE} is there, but a kernel did not boot under it in {BOOT_SECONDS} s")


def _ensure_files() -> Path:
    """Return the folder with vmlinuz and initrd for the trial, made first if need be."""
    folder = layers.images_dir() / f"trial-{layers.key_of(INIT_SOURCE.decode(), layers.KERNEL_PACKAGE)}"
    with file_lock(folder.with_suffix(".lock")):
        if (folder / "initrd").is_file():
            return folder
        packages = layers.ensure_kernel_files()
        folder.mkdir(exist_ok=True)
        with tarfile.open(packages) as content:
            name = next(name for name in content.getnames() if Path(name).name.startswith("vmlinuz-"))
            kernel = content.extractfile(name)
            (folder / "vmlinuz").write_bytes(kernel.read() if kernel else b"")
        packages.unlink()
        init = kubevirt_images.compile_static(INIT_SOURCE, folder / "init")
        (folder / "initrd").write_bytes(build_initrd(init.read_bytes()))
    return folder


def _boot(place: Layout, record: Record, files: Path) -> str:
    """Boot the trial kernel in a container of the launcher image and return its console's text."""
    pid = machine.inner_pid(record)
    # Its pipes are files by name, so this client has to see the sandbox's file system.
    return process.run(
        [
            "nsenter",
            "--target",
            str(pid),
            "--mount",
            "--pid",
            "--net",
            "--",
            tool_path("ctr"),
            "--address",
            layout.CONTAINERD_SOCKET,
            "--namespace",
            store.NAMESPACE,
            "run",
            "--rm",
            "--privileged",
            "--device",
            DEVICE,
            "--cgroup",
            f"/{place.cgroup}/trial",
            "--mount",
            f"type=bind,src={files},dst=/trial,options=rbind:ro",
            kubevirt_images.reference("virt-launcher"),
            f"trial-{os.getpid()}",
            # Success whatever QEMU says: what counts is the marker on the console.
            "sh",
            "-c",
            'timeout -s KILL "$0" "$@"; exit 0',
            str(BOOT_SECONDS),
            *QEMU,
        ],
        reason="try the kvm accelerator",
        timeout_seconds=BOOT_SECONDS + SETTLE_SECONDS,
    )
