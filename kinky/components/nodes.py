"""All nodes of a cluster, declared at once: no node waits for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from kinky.accelerator import Accelerator
from kinky.components.network import Network
from kinky.components.node import Node, NodeArgs
from kinky.components.steps.keys import ClusterKeys
from kinky.config.model import KinkyConfig
from kinky.kube.access import HostAccess
from kinky.render.cloud_config import CloudInitSchemas
from kinky.topology.nodes import NodeSpec


@dataclass(frozen=True, kw_only=True)
class NodesArgs:
    """Arguments that the nodes of a cluster share."""

    config: KinkyConfig
    nodes: Sequence[NodeSpec]
    access: HostAccess
    image: str
    accelerator: Accelerator
    cloud_init_schemas: CloudInitSchemas | None
    network: Network
    keys: ClusterKeys


class Nodes(pulumi.ComponentResource):
    """The control planes and the workers."""

    by_name: dict[str, Node]

    def __init__(self, name: str, args: NodesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare every node."""
        super().__init__("kinky:host:Nodes", name, None, opts)
        self.by_name = {
            node.name: Node(
                node.name,
                NodeArgs(
                    config=args.config,
                    node=node,
                    nodes=args.nodes,
                    access=args.access,
                    image=args.image,
                    accelerator=args.accelerator,
                    cloud_init_schemas=args.cloud_init_schemas,
                    endpoint_ips=args.network.endpoint_ips,
                    node_ips=args.network.node_ips,
                    keys=args.keys,
                ),
                pulumi.ResourceOptions(parent=self),
            )
            for node in args.nodes
        }
        self.register_outputs({})
