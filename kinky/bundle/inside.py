"""The pieces that the inner cluster has: its objects, its events, and the logs of its pods."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kinky.bundle.kubectl import Kubectl, inner_kubectl
from kinky.bundle.pieces import Piece
from kinky.errors import KinkyError
from kinky.status.target import Target

TAIL_LINES: Final = 1000
LOG_BYTES: Final = 262_144
POD_COLUMNS: Final = "custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name"
_NAMES: Final = re.compile(r"^(\S+)\s+(\S+)$", re.MULTILINE)


def list_inner_pieces(target: Target) -> Iterator[Piece]:
    """Yield the pieces of the inner cluster; only the names of its pods are asked for now."""
    ask = inner_kubectl(target)
    yield _table(
        ask, "nodes", "nodes,pods,services,persistentvolumeclaims", "what runs there, as tables", "--output", "wide"
    )
    yield Piece(
        file="inside/describe.txt",
        holds="kubectl describe of nodes and of the pods of all namespaces",
        fetch=lambda: ask("describe", "nodes") + ask("describe", "pods", "--all-namespaces"),
    )
    yield _table(ask, "events", "events", "events of all namespaces", "--sort-by", ".lastTimestamp")
    try:
        pods = _NAMES.findall(ask("get", "pods", "--all-namespaces", "--no-headers", "--output", POD_COLUMNS))
    except KinkyError as error:
        yield _failed("inside/logs", error)
        return
    for namespace, name in pods:
        yield _logs(ask, namespace, name)


def _table(ask: Kubectl, file: str, kinds: str, holds: str, *options: str) -> Piece:
    return Piece(
        file=f"inside/{file}.txt",
        holds=holds,
        fetch=lambda: ask("get", kinds, "--all-namespaces", *options),
    )


def _logs(ask: Kubectl, namespace: str, name: str) -> Piece:
    limits = (f"--tail={TAIL_LINES}", f"--limit-bytes={LOG_BYTES}", "--ignore-errors", "--prefix")

    def fetch() -> str:
        return ask("logs", name, "--namespace", namespace, "--all-containers", *limits)

    return Piece(file=f"inside/logs/{namespace}/{name}.txt", holds=f"ends of the logs of pod {name}", fetch=fetch)


def _failed(file: str, error: KinkyError) -> Piece:
    def fetch() -> str:
        raise error

    return Piece(file=file, holds="logs of all pods", fetch=fetch)
