"""The Secret that brings user-data and network-data to a VM: what KubeVirt reads, though its content is no secret."""

from __future__ import annotations

from kinky.config.model import KinkyConfig
from kinky.manifests.body import Body, Late, host_metadata
from kinky.topology.nodes import NodeSpec


def build_user_data_secret(
    cfg: KinkyConfig, node: NodeSpec, *, name: Late, user_data: Late, network_data: Late
) -> Body:
    """Return the Secret; it is immutable, because new content comes under a new name."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": host_metadata(cfg, name, node=node),
        "type": "Opaque",
        "immutable": True,
        "stringData": {"userdata": user_data, "networkdata": network_data},
    }
