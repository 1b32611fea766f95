"""One node: its user-data, its disk, its credentials and its VM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pulumi

from kinky import names
from kinky.accelerator import Accelerator
from kinky.components.bodies import KubernetesObject, declare
from kinky.components.properties import later
from kinky.components.steps.keys import ClusterKeys, NodeCredentials, NodeCredentialsInputs
from kinky.components.told import tell_errors
from kinky.config.model import KinkyConfig
from kinky.kube.access import HostAccess
from kinky.manifests import storage, user_data, virtual_machine
from kinky.manifests.body import Body
from kinky.render.cloud_config import CloudInitSchemas
from kinky.render.node import render_node
from kinky.topology.addresses import Addresses
from kinky.topology.nodes import NodeSpec


@dataclass(frozen=True, kw_only=True)
class NodeArgs:
    """Arguments of one node."""

    config: KinkyConfig
    node: NodeSpec
    nodes: Sequence[NodeSpec]
    """All nodes of the cluster."""
    access: HostAccess
    image: str
    """Reference of the node image."""
    accelerator: Accelerator
    cloud_init_schemas: CloudInitSchemas | None
    endpoint_ips: pulumi.Output[list[str]]
    node_ips: Mapping[str, pulumi.Output[list[str]]]
    """S-addresses of all nodes."""
    keys: ClusterKeys


class Node(pulumi.ComponentResource):
    """A permanent VirtualMachine with what it needs to become a node of the inner cluster."""

    virtual_machine: pulumi.CustomResource

    def __init__(self, name: str, args: NodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the node."""
        super().__init__("kinky:host:Node", name, None, opts)
        secret = self._declare_user_data(args)
        credentials = self._declare_credentials(args)
        retain = args.config.control_plane.etcd_retain
        claims = [declare(self, body, retain_on_delete=retain) for body in _build_claims(args)]
        body = virtual_machine.build_virtual_machine(
            args.config,
            args.node,
            image=args.image,
            user_data_secret=secret.metadata["name"],
            credentials_secret=credentials,
            accelerator=args.accelerator,
        )
        # The VM names its claim by a plain text: without the dependency the claim could be deleted under a running VM.
        self.virtual_machine = declare(self, body, depends_on=claims)
        self.register_outputs({})

    def _declare_user_data(self, args: NodeArgs) -> KubernetesObject:
        """Declare the Secret whose name follows from its content, so the node takes new content when it restarts."""
        known = {node.name for node in args.nodes if node.is_control_plane} | {args.node.name}
        resolved: pulumi.Output[Mapping[str, Sequence[str]]] = pulumi.Output.all(
            **{names.endpoint_service(args.config.cluster.name): args.endpoint_ips},
            **{node: args.node_ips[node] for node in sorted(known)},
        )
        render = partial(render_secret, args.config, args.node, tuple(args.nodes), args.cloud_init_schemas)
        rendered = resolved.apply(tell_errors(render, f"user-data of {args.node.name}"))
        body = user_data.build_user_data_secret(
            args.config,
            args.node,
            name=rendered["name"],
            user_data=rendered["user_data"],
            network_data=rendered["network_data"],
        )
        return declare(self, body, name=f"{args.node.name}-user-data")

    def _declare_credentials(self, args: NodeArgs) -> pulumi.Input[str]:
        """Return the name of the Secret with the node's credentials; a worker has its own."""
        if args.node.is_control_plane:
            return args.keys.outputs.secret_name
        address = later(args.node_ips[args.node.name][0])
        inputs = NodeCredentialsInputs(access=args.access, node=args.node.name, address=address)
        # The certificates are signed by a CA that only the host has, so no data flows from the keys to this step.
        opts = pulumi.ResourceOptions(parent=self, depends_on=[args.keys])
        return NodeCredentials(f"{args.node.name}-credentials", inputs, opts).outputs.secret_name


def render_secret(
    config: KinkyConfig,
    node: NodeSpec,
    nodes: tuple[NodeSpec, ...],
    upstream: CloudInitSchemas | None,
    resolved: Mapping[str, Sequence[str]],
) -> dict[str, str]:
    """Return name and content of a node's user-data Secret, once the host has given the addresses."""
    endpoint = names.endpoint_service(config.cluster.name)
    addresses = Addresses.parse(
        endpoint=resolved[endpoint],
        nodes={name: texts for name, texts in resolved.items() if name != endpoint},
    )
    rendered = render_node(config, node, nodes, addresses, upstream=upstream)
    return {
        "name": names.user_data_secret(node.name, rendered.content_hash),
        "user_data": rendered.user_data,
        "network_data": rendered.network_data,
    }


def _build_claims(args: NodeArgs) -> list[Body]:
    """Build the claim for etcd's data, if the node keeps them on a volume."""
    return [storage.build_etcd_claim(args.config, args.node)] if storage.has_etcd_claim(args.config, args.node) else []
