"""The pieces that the host has: objects, events, consoles, and what was rendered for the guests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kinky import names
from kinky.bundle.kubectl import host_kubectl
from kinky.bundle.pieces import Piece
from kinky.forming.diagnose import fetch_console
from kinky.kube import resources
from kinky.kube.host import CONSOLE_CONTAINER, LAUNCHER_LABEL, LOG_LIMIT_BYTES
from kinky.kube.objects import decode_secret
from kinky.status.target import Target
from kinky.topology.nodes import build_nodes

DESCRIBED: Final = (
    "virtualmachines,virtualmachineinstances,pods,services,persistentvolumeclaims,configmaps,networkpolicies,jobs"
)
DECLARED: Final = "virtualmachines,services,persistentvolumeclaims,configmaps,networkpolicies,jobs"
"""Without Secrets: their content stays where it is."""
_USER_DATA: Final = re.compile(r"^(userdata|networkdata)$")


def list_host_pieces(target: Target) -> Iterator[Piece]:
    """Yield the pieces of the host; nothing is fetched yet."""
    ask = host_kubectl(target)
    own = ("--selector", f"{names.LABEL_CLUSTER}={target.cluster}")
    yield Piece(
        file="host/describe.txt",
        holds="kubectl describe of the cluster's objects on the host",
        fetch=lambda: ask("describe", DESCRIBED, *own),
    )
    yield Piece(
        file="host/declared.yaml",
        holds="the same objects as they are declared",
        fetch=lambda: ask("get", DECLARED, *own, "--output", "yaml"),
    )
    yield Piece(
        file="host/events.txt",
        holds="events about the cluster's objects on the host",
        fetch=lambda: select_lines(ask("get", "events", "--sort-by", ".lastTimestamp"), target.cluster),
    )
    for node in build_nodes(target.config):
        yield _console(target, node.name)
        yield _launcher(target, node.name)
        yield _rendered(target, node.name)


def select_lines(table: str, cluster: str) -> str:
    """Return the head of a table and the lines that name an object of the cluster."""
    head, *lines = table.splitlines() or [""]
    of_cluster = re.compile(rf"/{re.escape(cluster)}(-|\s|$)|virt-launcher-{re.escape(cluster)}-")
    return "\n".join([head, *(line for line in lines if of_cluster.search(line))]) + "\n"


def _console(target: Target, node: str) -> Piece:
    return Piece(
        file=f"consoles/{node}.txt",
        holds=f"end of the serial console of {node}; empty if it is not kept",
        fetch=lambda: fetch_console(target.host, node),
    )


def _launcher(target: Target, node: str) -> Piece:
    def fetch() -> str:
        parts = []
        for pod in target.host.fetch_pods(f"{names.LABEL_NODE}={node},{LAUNCHER_LABEL}"):
            for container in pod.containers:
                if container != CONSOLE_CONTAINER:
                    text = target.host.fetch_log(pod.name, container, tail_lines=2000)[-LOG_LIMIT_BYTES:]
                    parts.append(f"== pod {pod.name}, container {container}\n{text}")
        return "\n".join(parts)

    return Piece(file=f"host/launchers/{node}.txt", holds=f"logs of the launcher pod of {node}", fetch=fetch)


def _rendered(target: Target, node: str) -> Piece:
    def fetch() -> str:
        own = f"{names.LABEL_NODE}={node}"
        parts = []
        for secret in target.host.fetch_all_here(resources.SECRETS, selector=own):
            data = decode_secret(secret)
            # The node's credentials are in another Secret, whose keys have other names.
            parts += [data[key].decode() for key in sorted(data) if _USER_DATA.match(key)]
        return "\n".join(parts)

    return Piece(file=f"rendered/{node}.yaml", holds=f"cloud-init data of {node}, as it was rendered", fetch=fetch)
