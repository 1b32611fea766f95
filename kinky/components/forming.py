"""The forming of a cluster: from VMs that boot to an API that answers, a closed gate and Ready nodes."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from kinky import names
from kinky.components.addons import NodeNetwork, NodeNetworkArgs
from kinky.components.cluster_args import InnerClusterArgs
from kinky.components.host_side import HostSide
from kinky.components.properties import later
from kinky.components.providers import build_inside_options, declare_inner
from kinky.components.steps.applied import ConfigurationApplied, ConfigurationAppliedInputs
from kinky.components.steps.forming import NodesReady, NodesReadyInputs, OutsideReady, OutsideReadyInputs
from kinky.components.steps.gate import Gate, GateInputs
from kinky.config.change import list_values
from kinky.manifests import gate
from kinky.reach.exposure import PublishSpec
from kinky.topology.nodes import control_planes

OUTSIDE_LIMIT_SECONDS = 900.0
"""From created VMs to a ready API: 180 to 260 seconds were measured under emulation, and this is the triple."""
GATE_LIMIT_SECONDS = 600.0
"""A few small objects, and the schema, which an emulated API server makes in one to three minutes."""
NODES_LIMIT_SECONDS = 900.0
"""From a ready API to Ready nodes: bound by the processor when all DaemonSets start at once."""


@dataclass(frozen=True, kw_only=True)
class FormingArgs:
    """The arguments that form a cluster."""

    cluster: InnerClusterArgs
    host_side: HostSide
    dies_with: pulumi.Resource
    """The resource whose deletion ends the objects inside."""


class Forming(pulumi.ComponentResource):
    """The proof from outside, the gate that is closed before anything else is written inside, and Ready nodes."""

    outside: OutsideReady
    inner: kubernetes.Provider
    """The one way to declare anything inside: it leads through the closed gate."""
    node_network: NodeNetwork
    ready: NodesReady

    def __init__(self, name: str, args: FormingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the proofs, in their order, and what nodes need to become Ready."""
        super().__init__("kinky:cluster:Forming", name, None, opts)
        self._name, self._args = name, args
        self.outside = self._declare_outside()
        self._declare_applied()
        closed = self._declare_gate()
        self.inner = declare_inner(self, name, "inner", closed.outputs.inner_kubeconfig)
        inside = build_inside_options(self, self.inner, dies_with=args.dies_with)
        self.node_network = NodeNetwork(f"{name}-node-network", NodeNetworkArgs(config=args.cluster.config), inside)
        self.ready = self._declare_ready()
        self.register_outputs({})

    def _declare_outside(self) -> OutsideReady:
        """Declare the proof from outside."""
        args, config = self._args.cluster, self._args.cluster.config
        inputs = OutsideReadyInputs(
            access=self._args.host_side.access,
            control_planes=tuple(node.name for node in control_planes(args.nodes)),
            stack=args.stack,
            publish=PublishSpec(
                mode=config.access.mode, local_port=config.local_port, node_port=config.access.node_port
            ),
            kinky_command=args.kinky_command,
            ca_file=args.ca_file,
            limit_seconds=config.timeouts.seconds(OUTSIDE_LIMIT_SECONDS),
        )
        # No data of the VMs flows into the proof.
        opts = pulumi.ResourceOptions(parent=self, depends_on=[self._args.host_side.nodes])
        return OutsideReady(f"{self._name}-outside", inputs, opts)

    def _declare_applied(self) -> None:
        """Declare that the record gets the applied configuration."""
        args = self._args.cluster
        inputs = ConfigurationAppliedInputs(
            access=self._args.host_side.access,
            settings=json.dumps(list_values(args.config, image=args.image), sort_keys=True),
            release=args.config.release.name,
            cluster_uid=self.outside.outputs.cluster_uid,
        )
        # No data of the VMs flows into the record.
        opts = pulumi.ResourceOptions(parent=self, depends_on=[self._args.host_side.nodes])
        ConfigurationApplied(f"{self._name}-applied", inputs, opts)

    def _declare_gate(self) -> Gate:
        """Declare the gate, closed: the first thing that is written inside."""
        inputs = GateInputs(
            access=self._args.host_side.access,
            server=self.outside.outputs.server,
            kubeconfig_text=self.outside.outputs.kubeconfig_text,
            wall=names.content_hash(json.dumps(gate.build_gate(), sort_keys=True).encode()),
            limit_seconds=self._args.cluster.config.timeouts.seconds(GATE_LIMIT_SECONDS),
        )
        return Gate(f"{self._name}-gate", inputs, pulumi.ResourceOptions(parent=self))

    def _declare_ready(self) -> NodesReady:
        """Declare the proof that all nodes are Ready, which they are only with a node network."""
        inputs = NodesReadyInputs(
            access=self._args.host_side.access,
            server=self.outside.outputs.server,
            addresses={name: later(ips[0]) for name, ips in self._args.host_side.network.node_ips.items()},
            limit_seconds=self._args.cluster.config.timeouts.seconds(NODES_LIMIT_SECONDS),
        )
        opts = pulumi.ResourceOptions(parent=self, depends_on=[self.node_network])
        return NodesReady(f"{self._name}-ready", inputs, opts)
