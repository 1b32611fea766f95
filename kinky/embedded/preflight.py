"""Whether this machine can run the embedded host; each check answers with one line, before anything is touched."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from kinky import paths, process
from kinky.embedded import cgroups, layout
from kinky.embedded.layout import Layout
from kinky.errors import CommandError, HostError

PROGRAMS = ("unshare", "mount", "ip", "nft", "iptables", "runc", "hostname")
CNI_PROGRAMS = ("bridge", "host-local", "portmap", "loopback")
FIRST_START_GIB = 8
LATER_START_GIB = 2
LEAST_MEMORY_MIB = 3500

# One trial of everything the sandbox asks of the kernel, in namespaces that vanish with the trial.
TRIAL = (
    ("a bridge device", "ip link add kinkytrial0 type bridge"),
    ("veth devices", "ip link add kinkytrial1 type veth peer name kinkytrial2"),
    (
        "nftables with NAT",
        "nft add table ip t && nft 'add chain ip t c { type nat hook postrouting priority 100 ; }'"
        " && nft add rule ip t c masquerade",
    ),
    ("netfilter on bridges (module br_netfilter)", "test -e /proc/sys/net/bridge/bridge-nf-call-iptables"),
    ("mount propagation", "mount --make-rshared /"),
    ("TUN devices (/dev/net/tun)", "test -c /dev/net/tun"),
)


def check_machine(place: Layout, *, first_start: bool) -> None:
    """Refuse a machine that cannot run the host.

    Raises:
        HostError: The first reason found, in one line.
    """
    check_user()
    _check_programs()
    cgroups.check(cgroups.hierarchies())
    _check_room(place, first_start=first_start)
    _check_kernel()
    _check_overlay(place)


def check_user() -> None:
    """Refuse a system or a user that can never run the host; it looks at nothing else.

    Raises:
        HostError: In one line, why.
    """
    if platform.system() != "Linux":
        raise refuse(f"it needs Linux, this is {platform.system()}")
    if platform.machine() != "x86_64":
        raise refuse(f"it needs x86_64, this is {platform.machine()}")
    if os.geteuid() != 0:
        raise refuse(
            f"not root: user id {os.geteuid()}",
            hint="run it as root, or use your own KubeVirt cluster: set host.kubeconfig in the stack",
        )


def packages() -> dict[str, str]:
    """Return the Debian packages that the host needs, each with what for."""
    return parse_packages((paths.data_root() / "embedded-host" / "packages.txt").read_text())


def parse_packages(text: str) -> dict[str, str]:
    """Return name -> reason from lines `name  # reason`."""
    found = {}
    for line in text.splitlines():
        name, _, reason = line.partition("#")
        if name.strip():
            found[name.strip()] = reason.strip()
    return found


def refuse(reason: str, *, hint: str | None = None, details: Sequence[str] = ()) -> HostError:
    """Return the error that every failed check raises."""
    return HostError(f"embedded host cannot start: {reason}", hint=hint, details=details)


def _check_programs() -> None:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    missing += [str(layout.CNI_PLUGINS / name) for name in CNI_PROGRAMS if not (layout.CNI_PLUGINS / name).exists()]
    if missing:
        raise refuse(f"programs missing: {', '.join(missing)}", hint=f"apt-get install {' '.join(packages())}")


def _check_room(place: Layout, *, first_start: bool) -> None:
    needed = FIRST_START_GIB if first_start else LATER_START_GIB
    free = shutil.disk_usage(place.root.parent).free / (1 << 30)
    if free < needed:
        raise refuse(
            f"disk full: {free:.1f} GiB free for {place.root}, {needed} GiB needed",
            hint="free some space, or choose another disk: KINKY_STATE_DIR=/path",
        )
    with Path("/proc/meminfo").open() as lines:
        total = int(next(line for line in lines if line.startswith("MemTotal:")).split()[1]) // 1024
    if total < LEAST_MEMORY_MIB:
        raise refuse(f"too little memory: {total} MiB, at least {LEAST_MEMORY_MIB} MiB needed without any VM")


def _check_kernel() -> None:
    # A module that is built in makes modprobe fail; the trial below is what counts.
    for module in ("br_netfilter", "overlay", "nf_tables", "tun"):
        if shutil.which("modprobe"):
            _try(["modprobe", "-q", module])
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        raise refuse("kernel lacks the overlay file system")
    namespaces = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--"]
    if (problem := _try([*namespaces, "true"])) is not None:
        raise refuse(f"kernel refuses new namespaces: {problem}")
    for feature, trial in TRIAL:
        if (problem := _try([*namespaces, "sh", "-c", trial])) is not None:
            raise refuse(f"kernel lacks {feature}{': ' + problem if problem else ''}")


def _check_overlay(place: Layout) -> None:
    """Try an overlay on the state directory's own disk: it cannot lie on another overlay."""
    trial = place.root.parent / f".{place.root.name}-overlay-trial"
    folders = [trial / name for name in ("lower", "upper", "work", "merged")]
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        options = f"lowerdir={folders[0]},upperdir={folders[1]},workdir={folders[2]}"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(folders[3])]
        problem = _try(["unshare", "--mount", "--", *mount])
    finally:
        shutil.rmtree(trial, ignore_errors=True)
    if problem is not None:
        raise refuse(
            f"no overlay can be mounted below {place.root.parent}: {problem}",
            hint="choose a directory on ext4 or xfs: KINKY_STATE_DIR=/path",
        )


def _try(command: Sequence[str]) -> str | None:
    """Run a trial; return None if it worked, else its last line."""
    try:
        process.run(command, reason="try a kernel feature", timeout_seconds=20)
    except CommandError as error:
        lines = [line for line in error.details if line.startswith("last output: ")]
        return lines[-1].removeprefix("last output: ") if lines else ""
    return None
