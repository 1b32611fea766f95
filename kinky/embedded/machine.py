"""Starting, finding and ending the sandbox as one process of the machine, and cleaning up after a killed one."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from kinky import paths, process, proxies
from kinky.accelerator import Accelerator
from kinky.embedded import (
    cgroups,
    components,
    credentials,
    kernel_settings,
    layout,
    preflight,
    proxy,
    sandbox,
    settings,
)
from kinky.embedded.layout import Layout
from kinky.errors import HostError
from kinky.progress import note, phase
from kinky.toolchain.tools import ensure_tools

PORT_VARIABLE = "KINKY_HOST_PORT"
PORTS_TO_TRY = 40
STOP_SECONDS = 15


@dataclass(frozen=True)
class Record:
    """The content of host.json about the host that was started last."""

    pid: int
    apiPort: int
    started: float
    accelerator: Accelerator = Accelerator.UNKNOWN


def read_record(place: Layout) -> Record | None:
    """Return the record, or None if no record can be read."""
    try:
        entries = json.loads(place.record.read_text())
        known = {name: entries[name] for name in ("pid", "apiPort", "started")}
        return Record(**known, accelerator=Accelerator.parse(entries["accelerator"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_record(place: Layout, record: Record) -> None:
    """Write host.json in one step."""
    details = {
        **asdict(record),
        "kubeconfig": str(place.kubeconfig),
        "nodeName": layout.NODE_NAME,
        "podCidr": layout.POD_CIDR,
        "serviceCidr": layout.SERVICE_CIDR,
    }
    credentials.write_private(place.record, json.dumps(details, indent=2))


def running(place: Layout) -> Record | None:
    """Return the record if its process is alive and is this host's sandbox."""
    record = read_record(place)
    return record if record and process.is_alive(record.pid, expect=place.marker) else None


def inner_pid(record: Record) -> int | None:
    """Return process 1 of the sandbox as the machine numbers it."""
    try:
        children = Path(f"/proc/{record.pid}/task/{record.pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def inside(record: Record, path: Path) -> Path:
    """Return how a path of the sandbox's file system is reached from outside.

    Raises:
        HostError: The sandbox is gone.
    """
    pid = inner_pid(record)
    if pid is None:
        raise HostError("embedded host is not running", hint="kinky host up")
    return Path(f"/proc/{pid}/root{path}")


def start(place: Layout) -> Record:
    """Start the sandbox and return its record; whatever an earlier one left is removed first.

    Raises:
        HostError: The machine cannot run it; nothing was touched.
    """
    first_start = not (place.etcd / "data").is_dir()
    preflight.check_machine(place, first_start=first_start)
    before = read_record(place)
    listener = open_port(before.apiPort if before else None)
    with phase("programs of the host", limit_seconds=3600):
        programs = ensure_tools([*components.PROGRAMS, "kubeadm", "kubectl", "ctr"])
    with listener, phase("start the embedded host", limit_seconds=60):
        remove_leftovers(place)
        place.create()
        credentials.ensure(place)
        settings.write(place)
        components.write_specification(place.specification, components.build_components(place, programs))
        port = listener.getsockname()[1]
        credentials.write_outside_kubeconfig(place, port)
        cgroups.create(place.cgroup)
        # The host's own kubelet writes some of them too, so the old values are kept before it starts.
        kernel_settings.ensure(place)
        path = os.pathsep.join([*sorted({str(program.parent) for program in programs.values()}), os.environ["PATH"]])
        pid = process.spawn_detached(
            sandbox.build_command(place, listener.fileno()),
            log=place.log("supervisor"),
            env={
                "PATH": path,
                "PYTHONPATH": str(paths.import_root()),
                "KINKY_PROGRESS": "plain",
                # The sandbox cannot reach a proxy of the machine, and its API calls webhooks.
                **dict.fromkeys(proxies.NO_PROXY, "*"),
            },
            pass_fds=[listener.fileno()],
        )
        last = before.accelerator if before else Accelerator.UNKNOWN
        record = Record(pid=pid, apiPort=port, started=time.time(), accelerator=last)
        write_record(place, record)
    return record


def stop(place: Layout) -> None:
    """End the sandbox and everything in it, and remove what the kernel does not remove by itself.

    Raises:
        HostError: Something of it is left.
    """
    record = running(place)
    if record is not None:
        # The process in the record waits for this one; ending this one ends all.
        target = inner_pid(record)
        if target is not None:
            process.terminate(target, expect=place.marker, grace_seconds=STOP_SECONDS)
        process.terminate(record.pid, expect=place.marker, grace_seconds=5)
    remove_leftovers(place)
    if not find_sandboxes(layout.MODULE):
        # Guests of another host on this machine need them as well.
        kernel_settings.restore(place)


def remove_leftovers(place: Layout) -> None:
    """Remove what a killed run may have left: processes without a record, and control groups.

    Raises:
        HostError: A control group stays.
    """
    for pid in stray_processes(place):
        note(f"ending process {pid}, left by an earlier run")
        process.terminate(pid, expect=place.marker, grace_seconds=5)
    cgroups.remove(place.cgroup)
    left = cgroups.residue(place.cgroup)
    if left:
        raise HostError("embedded host left control groups behind", details=[str(path) for path in left])
    place.observed.unlink(missing_ok=True)
    _remove_mount_points(place)


def _remove_mount_points(place: Layout) -> None:
    """Remove the directories that were made to mount something there; another program may use one by now."""
    if place.mount_points.exists():
        for line in place.mount_points.read_text().splitlines():
            with contextlib.suppress(OSError):
                Path(line).rmdir()
        place.mount_points.unlink()


def stray_processes(place: Layout) -> list[int]:
    """Return the sandboxes of this state directory that run, whether or not a record knows them."""
    return find_sandboxes(place.marker)


def find_sandboxes(marker: str) -> list[int]:
    """Return the processes that have this text in their command line."""
    numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in numbers if pid != os.getpid() and process.is_alive(pid, expect=marker)]


def open_port(preferred: int | None) -> socket.socket:
    """Return the listener: on the port that the environment fixes, else the last one, else the first free one."""
    fixed = os.environ.get(PORT_VARIABLE)
    if fixed is not None and fixed not in map(str, range(1, 65536)):
        raise preflight.refuse(f'{PORT_VARIABLE} = "{fixed}": must be a port number, 1 to 65535')
    first = layout.DEFAULT_OUTSIDE_PORT
    candidates = [int(fixed)] if fixed else [preferred or first, *range(first, first + PORTS_TO_TRY)]
    for port in candidates:
        try:
            return proxy.open_listener(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise preflight.refuse(f"port 127.0.0.1:{port} cannot be opened: {error.strerror}") from error
    taken = f"port 127.0.0.1:{candidates[0]} is taken" if fixed else f"ports {first} to {candidates[-1]} are all taken"
    raise preflight.refuse(taken, hint=f"choose another: {PORT_VARIABLE}=16500 kinky host up")
