"""Processes of a container guest, as the machine sees them: the bench ends some of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kinky import names
from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.host import LAUNCHER_LABEL, HostApi
from kinky.kube.records import LauncherPod

PROC: Final = Path("/proc")
KUBELET: Final = "kubelet"
API_SERVER: Final = "kube-apiserver"


def fetch_launcher_uid(host: HostApi, node: str) -> str:
    """Fetch the identity of the pod in which a node runs; raises HostError if there is no such pod."""
    selector = f"{names.LABEL_NODE}={node},{LAUNCHER_LABEL}"
    pods = map(LauncherPod.parse, host.fetch_all_here(resources.PODS, selector=selector))
    found = next((pod.uid for pod in pods if pod.running), "")
    if not found:
        raise HostError(f"{node} has no launcher pod that runs")
    return found


def find_process(pod_uid: str, program: str, *, proc: Path = PROC) -> int:
    """Return the oldest process of this name in a pod, or in a guest in it.

    Raises:
        HostError: There is no such process.
    """
    # Control groups by systemd's names have no hyphens.
    marks = (pod_uid, pod_uid.replace("-", "_"))
    found = []
    for entry in proc.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                groups = (entry / "cgroup").read_text()
                if (entry / "comm").read_text().strip() == program and any(mark in groups for mark in marks):
                    found.append(int(entry.name))
    if not found:
        raise HostError(f"pod {pod_uid} has no process {program}")
    return min(found)


@contextmanager
def without_api(pod_uid: str) -> Iterator[float]:
    """Kill the API server of a control plane, keep it away while the block runs, and yield when it was killed.

    Afterwards the kubelet is killed too: its successor starts the API server at once, where the old one would wait
    longer after each crash.
    """
    kubelet = find_process(pod_uid, KUBELET)
    os.kill(kubelet, signal.SIGSTOP)
    try:
        os.kill(find_process(pod_uid, API_SERVER), signal.SIGKILL)
        yield time.monotonic()
    finally:
        os.kill(kubelet, signal.SIGKILL)
