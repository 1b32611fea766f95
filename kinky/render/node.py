"""The one entry of this package: everything that a guest reads, and the hash that names the Secret it comes in."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.render import environment, network_data, user_data
from kinky.render.cloud_config import CloudInitSchemas
from kinky.topology.addresses import Addresses
from kinky.topology.nodes import NodeSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderedNode:
    """Checked text for one node; it holds no secret."""

    user_data: str
    network_data: str
    content_hash: str
    """First characters of the SHA-256 of both; it is part of the Secret's name, so new content means a new name."""


def render_node(
    cfg: KinkyConfig,
    node: NodeSpec,
    nodes: Sequence[NodeSpec],
    addresses: Addresses,
    *,
    upstream: CloudInitSchemas | None = None,
) -> RenderedNode:
    """Return user-data and network-data of a node; raises KinkyError with the template's file and line."""
    user = user_data.render_user_data(cfg, node, nodes, addresses, upstream=upstream)
    network = network_data.render_network_data(node, upstream=upstream)
    digest = names.content_hash(f"{user}\0{network}".encode())
    return RenderedNode(user_data=user, network_data=network, content_hash=digest[: names.HASH_LENGTH])


def check_templates(directory: Path | None = None) -> None:
    """Check every template without rendering it, so that a mistake is found before anything is touched."""
    for module in (user_data, network_data):
        for role, arguments in module.ARGUMENTS.items():
            provided = [field.name for field in dataclasses.fields(arguments)]
            environment.check_template(f"{role}/{module.TEMPLATE}", provided, directory=directory)
