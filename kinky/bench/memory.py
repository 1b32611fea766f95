"""Memory of the embedded host and its VMs, read from /proc; proportional, so that shared pages count once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_POD = re.compile(r"pod[0-9a-f]{8}[-_][-_0-9a-f]{27}")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
PROC = Path("/proc")


@dataclass(frozen=True)
class HostProcess:
    """One process in the host's control group."""

    command: str
    pod: str | None
    pss_mib: float


def read_processes(cgroup: str, *, proc: Path = PROC) -> list[HostProcess]:
    """Return the processes below a control group of this name, with their proportional memory in MiB."""
    return list(_walk(cgroup, proc))


def sum_by_role(processes: list[HostProcess], *, namespace: str, roles: Mapping[str, str]) -> dict[str, float]:
    """Return MiB for each role (all processes of a node's pod, averaged over its nodes) and for the host without VMs.

    Args:
        roles: Node name to role.
    """
    pods = {found.pod: node for node in roles for found in processes if _runs(found, namespace, node)}
    totals: dict[str, list[float]] = {}
    for pod, node in pods.items():
        totals.setdefault(roles[node], []).append(sum(each.pss_mib for each in processes if each.pod == pod))
    host = sum(each.pss_mib for each in processes if each.pod is None or each.pod not in pods)
    return {role: round(sum(sums) / len(sums), 1) for role, sums in totals.items()} | {"host": round(host, 1)}


def _runs(found: HostProcess, namespace: str, node: str) -> bool:
    # The launcher has both in its command line, whether its guest is a VM or a container.
    words = f"{found.command} "
    return found.pod is not None and f"--name {node} " in words and f"--namespace {namespace} " in words


def _walk(cgroup: str, proc: Path) -> Iterator[HostProcess]:
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            groups = (entry / "cgroup").read_text()
            if not any(f"/{cgroup}/" in f"{line}/" for line in groups.splitlines()):
                continue
            memory = (entry / "smaps_rollup").read_text()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            # It ended while we looked.
            continue
        pss, pod = _PSS.search(memory), _POD.search(groups)
        yield HostProcess(command=command, pod=pod and pod[0], pss_mib=int(pss[1]) / 1024 if pss else 0.0)
