"""The floor of container guests: the same guests started by hand, with no KubeVirt, no host cluster and no Pulumi.

They run the launcher's program in namespaces of their own, in the root file system of its image. As under bare QEMU
they share one segment, here a bridge. Its gateway and DHCP server is a QEMU without a machine.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from kinky import names, process, retry
from kinky.artefacts import layers
from kinky.embedded import cgroups
from kinky.errors import CommandError
from kinky.nodeimage import floor, qemu
from kinky.nodeimage.build import NodeImage
from kinky.toolchain import tools

PROGRAM: Final = Path("usr/bin/container-launcher")
PLACE: Final = Path("floor")
"""Folder of the guests' files, and the one of the image, below the root."""
IMAGE: Final = Path("image")
TAP_SECONDS: Final = 20.0
"""How long QEMU may take until its interface is there: it is a tenth of a second on a quiet machine."""
ROOM: Final = """\
set -eu
root=$1 group=$2 image=$3 tap=$4; shift 4
for own in /sys/fs/cgroup/"$group" /sys/fs/cgroup/*/"$group"; do
    if [ -d "$own" ]; then echo 0 > "$own/system/cgroup.procs"; fi
done
mount --make-rprivate /
# A container's root has to be a mount.
mount --bind "$root" "$root"
mount --bind "$image" "$root/image"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
else
    # Of the older hierarchies the guests see their own group as the root, as in a pod.
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    for mounted in /sys/fs/cgroup/*; do
        [ -e "$mounted/tasks" ] || continue
        mkdir "$root$mounted"
        mount --bind "$mounted/$group" "$root$mounted"
    done
fi
ip link set lo up
# Without the delay in which a bridge looks for others.
ip link add segment type bridge forward_delay 0
ip link set segment up
until ip link set "$tap" master segment 2> /dev/null; do sleep 0.05; done
ip link set "$tap" up
for guest; do
    (chroot "$root" container-launcher guest "/floor/$guest.json" || true; echo "$guest has ended") &
done
# With the first guest all end, because this is process 1.
wait -n
"""


@contextmanager
def running(image: NodeImage, nodes: Sequence[floor.FloorNode], *, folder: Path) -> Iterator[floor.Floor]:
    """Start all guests at once and yield them; they end with the block. `folder` must be empty and private."""
    root = _make_root(folder / "root")
    for node in nodes:
        _write_guest(root, image, node)
    group, tap, api_port = f"kinky-floor-{os.getpid()}", f"floor{os.getpid()}", floor.find_free_port()
    gateway_log, room_log = folder / "gateway.log", folder / "guests.log"
    gateway = floor.build_gateway("outside", address=nodes[0].address, api_port=api_port)
    program = qemu.find_qemu(root)
    cgroups.create(group)
    started = time.monotonic()
    pids: dict[str, int] = {}
    try:
        room = process.spawn_detached(_room_command(root, group, image, tap, nodes), log=room_log)
        pids = dict.fromkeys((node.name for node in nodes), room)
        command = [*program.command, *_gateway_arguments(gateway, tap)]
        pids["gateway"] = process.spawn_detached(command, log=gateway_log, env=program.environment)
        _move(tap, room)
        yield floor.Floor(
            api_port=api_port,
            times={node.name: floor.NodeTimes() for node in nodes},
            pids=pids,
            started=started,
            folder=root / PLACE,
            program=str(root),
            log=room_log,
        )
    finally:
        for name, pid in pids.items():
            process.terminate(pid, expect=tap if name == "gateway" else str(root))
        cgroups.remove(group)


def build_spec(image: NodeImage, node: floor.FloorNode) -> dict[str, Any]:
    """Return what a guest is made of, as `container-launcher guest` reads it."""
    own = Path("/") / PLACE / node.name
    disks = {"kinky-data": f"{own}.data.raw"}
    if node.role == "control-plane":
        disks["kinky-etcd"] = f"{own}.etcd.raw"
    return {
        "Name": node.name,
        "UUID": str(uuid.uuid5(uuid.NAMESPACE_DNS, node.name)),
        "RootImage": str(Path("/") / IMAGE / image.disk.name),
        "Disks": disks,
        "Credentials": f"{own}.credentials",
        "Seed": {name: body.decode() for name, body in floor.build_seed(node).items()},
        "Network": {"Bridge": "segment", "MAC": floor.build_mac(node.name)},
        "MemoryBytes": node.memory_mib << 20,
        "CPUs": node.cores,
        "ConsoleLog": f"{own}.console.log",
        "Work": f"{own}.work",
    }


def _make_root(root: Path) -> Path:
    root.mkdir()
    base = layers.ensure_base_layer()
    process.run(["tar", "--extract", "--file", base, "--directory", root], reason="unpack the launcher's base layer")
    program = tools.ensure_tools([names.CONTAINER_LAUNCHER])[names.CONTAINER_LAUNCHER]
    shutil.copy(program, root / PROGRAM)
    for name in (PLACE, IMAGE):
        (root / name).mkdir()
    return root


def _write_guest(root: Path, image: NodeImage, node: floor.FloorNode) -> None:
    place, spec = root / PLACE, build_spec(image, node)
    (place / f"{node.name}.json").write_text(json.dumps(spec))
    credentials = place / f"{node.name}.credentials"
    credentials.mkdir(mode=0o700)
    for name, body in node.credentials.items():
        (credentials / name).write_bytes(body)
    sizes = {"kinky-data": node.data_gib, "kinky-etcd": node.etcd_gib}
    for serial, file in spec["Disks"].items():
        floor.make_blank(place / Path(file).name, sizes[serial])
    (place / f"{node.name}.console.log").touch()


def _room_command(
    root: Path, group: str, image: NodeImage, tap: str, nodes: Sequence[floor.FloorNode]
) -> list[process.Argument]:
    namespaces = ("--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child")
    arguments: list[process.Argument] = [root, group, image.directory, tap, *(node.name for node in nodes)]
    return ["unshare", *namespaces, "--", "bash", "-c", ROOM, "guests", *arguments]


def _gateway_arguments(gateway: Sequence[str], tap: str) -> list[str]:
    return [
        *("-name", tap, "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none"),
        *gateway,
        *("-netdev", f"tap,id=tap0,ifname={tap},script=no,downscript=no"),
        *("-netdev", "hubport,hubid=0,id=outer,netdev=tap0"),
    ]


def _move(tap: str, pid: int) -> None:
    """Put the gateway's interface into the guests' network; the gateway itself stays where its port is."""

    def move() -> bool:
        process.run(["ip", "link", "set", tap, "netns", str(pid)], reason="plug the gateway in", timeout_seconds=5)
        return True

    retry.wait_until(
        move,
        what="the gateway of the floor is plugged in",
        deadline_seconds=TAP_SECONDS,
        every_seconds=0.05,
        tolerate=(CommandError,),
    )
