"""What KinKy could leave on a machine: what a machine shows before and after is compared."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from kinky.embedded import kernel_settings

PROCESS_MARKS = ("qemu", "virt-", "libvirt", "kube", "containerd", "etcd", "pulumi", "kinky.em", "kinky.boot")
"""What the command line of anything holds that a cluster is made of."""
LITTERED = ("/tmp", "/var/tmp", "/run", "/var/lib", "/var/log", "/etc")
SETTINGS = (*kernel_settings.LEAST, *kernel_settings.EXACT)
FILE_MARKS = re.compile(r"kube|kinky|pulumi|helm|hostpath|cni|containers|pods|etcd|virt")
"""What is in the name of a file or folder that a part of KinKy could leave in one of these."""


def machine_lists() -> dict[str, set[str]]:
    """Return what KinKy could leave on a machine: mounts, interfaces, loop devices, processes, settings and so on."""
    mounts = {line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()}
    groups = {path for path, _, _ in os.walk("/sys/fs/cgroup")}
    return {
        "mounts": {path for path in mounts if not path.startswith("/run/user/")},
        "interfaces": {path.name for path in Path("/sys/class/net").iterdir()},
        # The machine's own groups come and go; ours have the host's name, or one that containerd or a kubelet gives.
        "control groups": {path for path in groups if re.search("kinky|kube|k8s", path)},
        "loop devices": {f"{device} {file}" for device, file in loop_devices().items()},
        "kernel settings": {f"{name} = {_read_setting(name)}" for name in SETTINGS},
        "processes": _own_processes(),
        "files": {str(path) for folder in LITTERED for path in Path(folder).iterdir() if FILE_MARKS.search(path.name)},
    }


def loop_devices() -> dict[str, str]:
    """Return the file behind each loop device that is in use."""
    found = {}
    for device in Path("/sys/block").glob("loop*"):
        # A device that is freed meanwhile has none.
        with suppress(OSError):
            found[device.name] = (device / "loop/backing_file").read_text().strip()
    return found


def control_groups(identity: str) -> set[str]:
    """Return the control groups of a pod, by its identity."""
    return {path for path, _, _ in os.walk("/sys/fs/cgroup") if identity in path}


def list_processes() -> list[Path]:
    """Return the folder of each process of the machine."""
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def processes_of(identity: str) -> set[int]:
    """Return the processes in a pod, by its identity."""
    found = set()
    for entry in list_processes():
        with suppress(OSError):
            if identity in (entry / "cgroup").read_text():
                found.add(int(entry.name))
    return found


def mounts_in(pid: int, text: str) -> set[str]:
    """Return the mounts that a process sees and that have this text in their line."""
    return {line for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines() if text in line}


def _read_setting(name: str) -> str:
    return (kernel_settings.SYSTEM / name.replace(".", "/")).read_text().strip()


def _own_processes() -> set[str]:
    """Return the processes that a cluster is made of; others on the machine come and go as they like."""
    found = set()
    for entry in list_processes():
        if int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if any(mark in command for mark in PROCESS_MARKS):
                found.add(f"{entry.name} {command.strip()}")
    return found
