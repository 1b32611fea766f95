"""The images of KubeVirt's components, made of its programs, its own configuration files and a Debian base layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kinky import names, process
from kinky.artefacts import images, layers
from kinky.artefacts.images import Entry, Image
from kinky.embedded.layout import PAUSE_IMAGE
from kinky.toolchain import gobuild, tools

RECIPE = 6
"""Raise it when the images must be made again although no program changed."""
PREFIX = f"{names.IMAGE_PREFIX}/kubevirt"
CONTROL = ("virt-operator", "virt-api", "virt-controller")
HANDLER = ("virt-handler", "virt-chroot")
LAUNCHER = ("virt-launcher", "virt-launcher-monitor", "virt-probe", "virt-tail")
PAUSE_SOURCE = b"""\
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void leave(int number) { (void)number; _exit(0); }

static void collect(int number) { (void)number; while (waitpid(-1, 0, WNOHANG) > 0) { } }

int main(void) {
    signal(SIGINT, leave);
    signal(SIGTERM, leave);
    signal(SIGCHLD, collect);
    for (;;) pause();
}
"""
# KubeVirt starts virtqemud; Debian has the older single daemon, which serves the same interface on another socket.
VIRTQEMUD = b"""\
#!/bin/sh
mkdir -p /var/run/libvirt
ln -sfn libvirt-sock /var/run/libvirt/virtqemud-sock
exec /usr/sbin/libvirtd "$@"
"""
EMULATION_MARK = "emulation"
# The node's offer to its VMs must not be measured with a KVM that did not pass the trial (`accelerator`).
NODE_LABELLER = f"""\
#!/bin/sh
if [ -e /var/lib/kubevirt-node-labeller/{EMULATION_MARK} ]; then
    rm -f /dev/kvm
    mount --bind /dev/null /proc/misc
fi
exec /usr/libexec/node-labeller.sh "$@"
""".encode()
ACCOUNTS = (("qemu", 107, "/home/qemu"), ("nonroot-user", 1001, "/home/nonroot-user"))


@dataclass(frozen=True)
class Bundle:
    """The archive with all images, and their references."""

    archive: Path
    references: tuple[str, ...]


def version() -> str:
    """Return the version of KubeVirt that is deployed."""
    return tools.load_tools()["kubevirt"].version


def reference(component: str) -> str:
    """Return the image reference of one of KubeVirt's components."""
    return f"{PREFIX}/{component}:{version()}"


def module_folder() -> Path:
    """Return KubeVirt's folder in the Go module cache."""
    return gobuild.module_folder(tools.load_tools()["kubevirt"], go=tools.go_path())


def ensure_bundle() -> Bundle:
    """Return the archive of the images, made first if need be.

    Raises:
        CommandError: A compiler or mmdebstrap failed.
    """
    programs = tools.ensure_tools([*CONTROL, *HANDLER, *LAUNCHER, names.CONTAINER_LAUNCHER])
    base = layers.ensure_base_layer()
    stamps = [(name, path.stat().st_size, path.stat().st_mtime_ns) for name, path in sorted(programs.items())]
    # The layer's path is relative to the cache, because the cache may move.
    key = layers.key_of(RECIPE, stamps, base.relative_to(layers.images_dir()), PAUSE_SOURCE, VIRTQEMUD, NODE_LABELLER)
    own = [reference(name) for name in (*CONTROL, "virt-handler", "virt-launcher", names.CONTAINER_LAUNCHER)]
    archive = layers.ensure_archive(
        "kubevirt", f"{version()}-{key}", title="KubeVirt", write=lambda work: _build(work, programs, base)
    )
    return Bundle(archive, (PAUSE_IMAGE, *own))


def compile_static(source: bytes | Path, target: Path) -> Path:
    """Compile one C file, or its text, into a static program.

    Raises:
        CommandError: The compiler failed.
    """
    if isinstance(source, bytes):
        path = target.with_suffix(".c")
        path.write_bytes(source)
        source = path
    process.run(
        ["gcc", "-static", "-Os", "-s", "-o", target, source],
        reason=f"compile {target.name} for the embedded host's images",
        hint="apt-get install gcc libc6-dev",
    )
    return target


def _build(work: Path, programs: Mapping[str, Path], base: Path) -> None:
    """Write every layer and the archive into the work directory."""
    module = module_folder()
    accounts = _accounts(base)
    pause = compile_static(PAUSE_SOURCE, work / "pause")
    disk = compile_static(module / "cmd" / "container-disk-v2alpha" / "main.c", work / "container-disk")

    def layer(name: str, entries: list[Entry]) -> Path:
        images.write_tar(work / f"{name}.tar", entries)
        return work / f"{name}.tar"

    made = [Image(PAUSE_IMAGE, (layer("pause", [Entry("pause", pause)]),), ("/pause",), user="65535")]
    for name in CONTROL:
        own = layer(name, [*accounts, *_programs(programs, (name,))])
        made.append(Image(reference(name), (base, own), (f"/usr/bin/{name}",), user="1001"))
    handler = layer("virt-handler", [*accounts, *_programs(programs, HANDLER)])
    made.append(Image(reference("virt-handler"), (base, handler), ("/usr/bin/virt-handler",)))
    launcher = layer("virt-launcher", [*accounts, *_programs(programs, LAUNCHER), *_launcher_files(module, disk)])
    made.append(Image(reference("virt-launcher"), (base, launcher), ("/usr/bin/virt-launcher",)))
    swapped = layer(names.CONTAINER_LAUNCHER, [Entry("usr/bin/virt-launcher", programs[names.CONTAINER_LAUNCHER])])
    made.append(Image(reference(names.CONTAINER_LAUNCHER), (base, launcher, swapped), ("/usr/bin/virt-launcher",)))
    images.write_archive(work / layers.ARCHIVE, made)


def _programs(programs: Mapping[str, Path], names: tuple[str, ...]) -> list[Entry]:
    # Only the monitor binds ports below 1024 for a launcher that is not root.
    caps = {"virt-launcher-monitor": images.CAP_NET_BIND_SERVICE}
    return [Entry(f"usr/bin/{name}", programs[name], capability=caps.get(name)) for name in names]


def _launcher_files(module: Path, container_disk: Path) -> list[Entry]:
    own = module / "cmd" / "virt-launcher"
    return [
        Entry("usr/bin/container-disk", container_disk),
        Entry("usr/bin/node-labeller.sh", NODE_LABELLER),
        Entry("usr/libexec/node-labeller.sh", own / "node-labeller" / "node-labeller.sh"),
        Entry("etc/libvirt/qemu.conf", own / "qemu.conf", mode=0o644),
        Entry("etc/libvirt/virtqemud.conf", own / "virtqemud.conf", mode=0o644),
        Entry("etc/libvirt/hooks", mode=0o755),
        Entry("etc/libvirt/hooks/qemu", own / "qemu"),
        Entry("usr/sbin/virtqemud", VIRTQEMUD),
        # virt-handler looks for the serial console below /proc/PID/root, where Debian's absolute link leads to its own.
        Entry("var/run", link="../run"),
        # KubeVirt knows the firmware by its older names.
        Entry("usr/share/OVMF/OVMF_CODE.fd", link="OVMF_CODE_4M.fd"),
        Entry("usr/share/OVMF/OVMF_VARS.fd", link="OVMF_VARS_4M.fd"),
    ]


def _accounts(base: Path) -> list[Entry]:
    """Return passwd and group of the base layer with the users that KubeVirt runs things as."""
    passwd = "".join(f"{name}:x:{number}:{number}::{home}:/bin/bash\n" for name, number, home in ACCOUNTS)
    group = "".join(f"{name}:x:{number}:\n" for name, number, _ in ACCOUNTS)
    return [
        *images.add_accounts(base, passwd=passwd, group=group),
        *(Entry(home.lstrip("/"), owner=number) for _, number, home in ACCOUNTS),
    ]
