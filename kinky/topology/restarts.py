"""Which nodes have to restart before a change of the configuration takes effect in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from kinky import names
from kinky.config.change import Change, compare
from kinky.config.problem import Problem, format_key
from kinky.config.section import AT_RESTART
from kinky.topology.nodes import NodeSpec, build_nodes

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig

SHOWN_NODES: Final = 8
"""As many names as a line of a terminal holds."""


def list_restarts(applied: Mapping[str, Any], cfg: KinkyConfig, *, image: str) -> list[str]:
    """Describe each change that waits for restarts, with the nodes.

    Args:
        applied: The configuration that the cluster runs with, as `list_values` returns it.
        image: Reference of the node image that is used.
    """
    lines = []
    for change in compare(applied, cfg, image=image):
        waiting = _find_nodes(change, applied, cfg) if change.setting.changes == AT_RESTART else []
        if waiting:
            lines.append(_describe(change, waiting))
    return lines


def _find_nodes(change: Change, applied: Mapping[str, Any], cfg: KinkyConfig) -> list[str]:
    """Find the existing nodes that run with the value from before."""
    return [
        node.name
        for node in build_nodes(cfg)
        if _is_concerned(node, change) and node.index < _count_made(node, applied, cfg)
    ]


def _is_concerned(node: NodeSpec, change: Change) -> bool:
    section, pool = change.setting.key[:2]
    if section == "workers":
        return node.pool == pool and not node.is_control_plane
    return node.is_control_plane if section in ("controlPlane", "encryption") else True


def _count_made(node: NodeSpec, applied: Mapping[str, Any], cfg: KinkyConfig) -> int:
    """Return how many nodes the pool had before: new nodes start with the new value."""
    if node.pool == names.CONTROL_PLANE:
        return cfg.control_plane.replicas
    return int(applied.get(format_key(("workers", node.pool, "replicas")), 0))


def _describe(change: Change, waiting: list[str]) -> str:
    before = json.dumps(change.before, ensure_ascii=False)
    shown = ", ".join(waiting[:SHOWN_NODES])
    more = f" and {len(waiting) - SHOWN_NODES} more" if len(waiting) > SHOWN_NODES else ""
    message = f"was {before}; takes effect when these nodes restart: {shown}{more}"
    return str(Problem(change.setting.key, change.setting.value, message))
