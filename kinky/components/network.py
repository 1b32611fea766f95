"""The addresses that must exist before any VM: a Service for each node, and the endpoint in front of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from kinky.accelerator import Accelerator
from kinky.components.bodies import declare
from kinky.components.told import tell_errors
from kinky.config.model import KinkyConfig
from kinky.manifests import network_policy, services
from kinky.manifests.body import Body
from kinky.topology.nodes import NodeSpec


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """Arguments of the network."""

    config: KinkyConfig
    nodes: Sequence[NodeSpec]
    accelerator: Accelerator


class Network(pulumi.ComponentResource):
    """The permanent addresses of a cluster on its host, and the policy around its VMs."""

    endpoint_ips: pulumi.Output[list[str]]
    node_ips: dict[str, pulumi.Output[list[str]]]
    """By the node's name; of each Service one address for each family, the primary one first."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the Services and the NetworkPolicy."""
        super().__init__("kinky:host:Network", name, None, opts)
        declare(self, network_policy.build_network_policy(args.config))
        # No Service is awaited: the provider would wait for pods, which come only after the addresses.
        endpoint = services.build_endpoint_service(args.config, accelerator=args.accelerator)
        self.endpoint_ips = self._declare_service(endpoint)
        self.node_ips = {
            node.name: self._declare_service(services.build_node_service(args.config, node)) for node in args.nodes
        }
        self.register_outputs({"endpoint_ips": self.endpoint_ips})

    def _declare_service(self, body: Body) -> pulumi.Output[list[str]]:
        """Declare one Service and return the addresses that the host gives it."""
        service = declare(self, body)
        # Before the Service exists, a preview shows its `spec` without an address, as if it had none; only the id is
        # unknown then, and makes the address unknown too.
        known: pulumi.Output[Mapping[str, Any]] = pulumi.Output.all(id=service.id, spec=service.spec)
        return known.apply(tell_errors(pick_addresses, f"addresses of {body['metadata']['name']}"))


def pick_addresses(service: Mapping[str, Any]) -> list[str]:
    """Return the addresses of a Service that exists."""
    return [str(address) for address in service["spec"]["clusterIPs"]]
