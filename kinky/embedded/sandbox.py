"""Process 1 of the sandbox: `python -m kinky.embedded.sandbox ROOT --listen-fd N`, started under `unshare` by `host`.

It owns fresh mount, process and network namespaces. When it ends, the kernel ends every process in them and removes the
mounts and interfaces. The host is stopped in this way, so only control groups can be left behind.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from kinky import process
from kinky.border import run_main
from kinky.embedded import cgroups, components, layout, network, proxy
from kinky.embedded.layout import MODULE, Layout
from kinky.embedded.supervisor import Supervisor, say


def build_command(place: Layout, listen_fd: int) -> list[str]:
    """Return the command that starts the sandbox; `place.marker` is part of its command line."""
    return [
        "unshare",
        "--mount",
        "--pid",
        "--net",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
        "--",
        sys.executable,
        "-m",
        MODULE,
        str(place.root),
        "--listen-fd",
        str(listen_fd),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Set the namespaces up and keep the host running until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="kinky.embedded.sandbox")
    parser.add_argument("root", type=Path)
    parser.add_argument("--listen-fd", type=int, required=True)
    arguments = parser.parse_args(argv)
    # The components expect a service's umask; with the caller's umask pods might read nothing.
    os.umask(0o022)
    place = Layout(arguments.root)
    listener = socket.socket(fileno=arguments.listen_fd)
    # Components are given their sockets by name; the listener is this process's alone.
    os.set_inheritable(listener.fileno(), False)
    _set_up(place)
    chosen = components.read_specification(place.specification)
    proxy.serve_in_thread(listener, layout.NODE_ADDRESS, layout.API_PORT, door=place.door)
    say("started")
    Supervisor(place, chosen).run()
    return 0


def _set_up(place: Layout) -> None:
    """Make control group, mounts and network as the components need them."""
    cgroups.enter(place.cgroup)
    # virt-handler's containers ask for mounts that travel both ways between node and pod.
    _mount("--make-rshared", "/")
    # It also works through /proc/1, which must be this process and not the machine's.
    _mount("-t", "proc", "proc", "/proc")
    # Sockets, network namespaces and records of running pods are of no use after the end.
    _mount("-t", "tmpfs", "-o", "mode=0755,size=512m", "tmpfs", "/run")
    for source, target in place.binds:
        if not target.exists():
            # The one thing that the machine itself sees of the mounts; `down` removes it again.
            target.mkdir(parents=True)
            with place.mount_points.open("a") as handle:
                handle.write(f"{target}\n")
        _mount("--bind", str(source), str(target))
        _mount("--make-shared", str(target))
    process.run(["hostname", layout.NODE_NAME], reason="name the sandbox", timeout_seconds=20)
    network.configure_node()


def _mount(*arguments: str) -> None:
    process.run(["mount", *arguments], reason="set up the embedded host's mounts", timeout_seconds=20)


if __name__ == "__main__":
    sys.exit(run_main("the embedded host", main))
