"""Guests from the machine's side: a command in one, as root and with no more rights than a root shell there has."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kinky import process
from kinky.accelerator import Accelerator
from tests.e2e.machine import processes_of
from tests.e2e.person import Person

LAUNCHER = "/usr/bin/virt-launcher"
"""How the program that stands for QEMU's launcher is called in its pod."""


def run(person: Person, node: str, script: str, *, limit_seconds: float = 60) -> str:
    """Run a shell script in a container guest and return what it prints.

    The guest's own systemd starts it: so it has the limits, capabilities and filters of everything in there, which a
    process from the machine would not have.
    """
    start = ["systemd-run", "--quiet", "--wait", "--collect", "--pipe", "/bin/sh", "-c", script]
    return process.run(
        [*_enter(find_init(person, node)), *start], reason="run in a guest", timeout_seconds=limit_seconds
    )


def run_anywhere(person: Person, node: str, script: str) -> None:
    """Run a shell script in a guest of either ground; in a virtual machine its agent does it, and prints nothing."""
    if person.stack.config.host.asked_accelerator is Accelerator.CONTAINER:
        run(person, node, script)
        return
    asked = {"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": ["-c", script]}}
    domain = f"{person.stack.config.host.namespace}_{node}"
    virsh = ("virsh", "-q", "qemu-agent-command", domain, json.dumps(asked))
    person.host("exec", person.launcher(node), "--container", "compute", "--", *virsh)


def python(code: str) -> str:
    """Return the shell command that runs this program."""
    return f"python3 -c {shlex.quote(code)}"


def launcher_uid(person: Person, node: str) -> str:
    """Return the identity of the pod in which a node's guest runs."""
    return person.host("get", person.launcher(node), "--output", "jsonpath={.metadata.uid}")


def find_init(person: Person, node: str) -> int:
    """Return the first process of a container guest as the machine numbers it."""
    members = processes_of(launcher_uid(person, node))
    (found,) = (pid for pid in members if _read(pid, "comm") == "systemd" and _own_number(pid) == "1")
    return found


def find_launcher(person: Person, node: str) -> int:
    """Return the launcher's process, whose child the guest is; its monitor is another one."""
    members = processes_of(launcher_uid(person, node))
    (found,) = (pid for pid in members if _read(pid, "cmdline").split("\0")[0] == LAUNCHER)
    return found


@contextmanager
def frozen(person: Person, node: str) -> Iterator[None]:
    """Stop every process of a container guest while the block runs, or until the guest has been killed."""
    depth = len(_numbers(find_init(person, node)))
    stopped = {}
    for pid in processes_of(launcher_uid(person, node)):
        if len(_numbers(pid)) >= depth:
            stopped[pid] = birth(pid)
            _signal(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid, born in stopped.items():
            if born and birth(pid) == born:
                _signal(pid, signal.SIGCONT)


def birth(pid: int) -> str:
    """Return what tells a process from a later one of the same number: its start in ticks; empty if it has ended."""
    fields = _read(pid, "stat").rpartition(") ")[2].split()
    return fields[19] if fields else ""


def _enter(pid: int) -> list[str]:
    return ["nsenter", "--target", str(pid), "--all", "--"]


def _own_number(pid: int) -> str:
    """Return the number of a process in its own namespace."""
    return _numbers(pid)[-1]


def _numbers(pid: int) -> list[str]:
    """Return the numbers of a process, from the machine's namespace to its own."""
    lines = dict(line.partition(":\t")[::2] for line in _read(pid, "status").splitlines())
    return lines.get("NSpid", "").split("\t")


def _signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _read(pid: int, name: str) -> str:
    """Return a file of a process; empty once that has ended."""
    with suppress(OSError):
        return (Path("/proc") / str(pid) / name).read_bytes().decode(errors="replace").strip("\n\0")
    return ""
