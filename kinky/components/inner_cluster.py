"""`InnerCluster`: a Kubernetes cluster in VMs of a host cluster, proved from outside, with its secrets store wired."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from kinky import names
from kinky.accelerator import Accelerator
from kinky.bootstrap.encryption_config import render_kms_config
from kinky.components import console, gate_steps, steps
from kinky.components.addons import Addons, AddonsArgs, NodeNetwork, NodeNetworkArgs
from kinky.components.identity import declare_guard, declare_identity
from kinky.components.lease import describe_lease, own_by
from kinky.components.network import Network, NetworkArgs
from kinky.components.nodes import Nodes, NodesArgs
from kinky.components.providers import declare_host, declare_inner
from kinky.components.secrets_store import SecretsStore, SecretsStoreArgs, StoreValues, StoreValuesArgs
from kinky.components.workload import Workload, WorkloadArgs
from kinky.config.change import list_fixed
from kinky.config.model import KinkyConfig
from kinky.kube.access import HostAccess
from kinky.manifests import gate, host_namespace, storage, stores
from kinky.manifests.body import Body
from kinky.render.cloud_config import CloudInitSchemas
from kinky.topology.nodes import build_nodes, control_planes, workers

OUTSIDE_LIMIT_SECONDS = 900.0
"""From created VMs to a ready API: 180 to 260 seconds were measured under emulation, and this is the triple."""
GATE_LIMIT_SECONDS = 600.0
"""A few small objects, and the schema, which an emulated API server makes in one to three minutes."""
NODES_LIMIT_SECONDS = 900.0
"""From a ready API to Ready nodes: bound by the processor when all DaemonSets start at once."""
RESIDUE_LIMIT_SECONDS = 300.0
"""Launcher pods end some time after their VM; a namespace takes up to a minute more."""


@dataclass(frozen=True, kw_only=True)
class InnerClusterArgs:
    """A checked configuration, and what was found on the host and on this machine; `program.prepare` makes it."""

    config: KinkyConfig
    access: HostAccess
    stack: str
    """Organization, project and stack: another stack cannot use the cluster's name in the same namespace."""
    image: str
    """Reference of the node image."""
    custom_resource_definitions: Sequence[Body]
    """Those of External Secrets, in the version that the node image holds."""
    store: Mapping[str, Any]
    """The secrets store in plain values, as `describe_store` describes it."""
    cloud_init_schemas: CloudInitSchemas | None
    """Those of the image's own cloud-init, if its build left them."""
    accelerator: Accelerator
    kinky_command: str
    """Absolute path of kinky, which the kubeconfig calls for a credential."""
    ca_file: str
    """Absolute path of the file with the cluster's authorities, which the kubeconfig names."""


class InnerCluster(pulumi.ComponentResource):
    """The cluster; `workloads` is a provider for its users that exists only after the secrets store was proved."""

    endpoint: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    """Path of the kubeconfig; it names a command that fetches a credential and holds no key."""
    nodes: pulumi.Output[list[dict[str, Any]]]
    evidence: pulumi.Output[Any]
    timings: pulumi.Output[Any]
    workloads: kubernetes.Provider

    def __init__(self, name: str, args: InnerClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the whole cluster, in the order of `pulumi up`."""
        super().__init__("kinky:cluster:InnerCluster", name, None, opts)
        self._name, self._args = name, args
        self._access = declare_identity(self, name, args.access)
        claim = self._claim = self._declare_claim()
        host = declare_host(self, name, args.access, claim=claim)
        addressed = NetworkArgs(config=args.config, nodes=build_nodes(args.config), accelerator=args.accelerator)
        network = Network(f"{name}-network", addressed, self._on(host))
        keys = self._declare_keys(claim)
        nodes = self._declare_nodes(host, network, keys)
        outside = self._declare_outside(nodes)

        # The one way to a provider for the inside leads through the closed gate, so nothing is written before it.
        closed = self._declare_gate(outside)
        inner = declare_inner(self, name, "inner", closed.inner_kubeconfig)
        values = self._declare_values(claim, keys, host, outside, inner)
        declare_guard(self, name, self._access, after=[network, keys, nodes, values])
        node_network = NodeNetwork(f"{name}-node-network", NodeNetworkArgs(config=args.config), self._inside(inner))
        ready = self._declare_nodes_ready(network, outside, node_network)
        addons = self._declare_addons(inner, ready)
        store = self._declare_store(inner, outside, values, addons, ready)

        # The one way to a provider for workloads leads through the opened gate.
        self.workloads = declare_inner(self, name, "workloads", store.workloads_kubeconfig)
        self._declare_console(store)
        workload = self._declare_workload(outside)
        # Without this guard a destroy would first drop from the state all that is inside.
        inside = [node_network, addons, store, *([workload] if workload else [])]
        declare_guard(self, f"{name}-inside", self._access, after=inside)
        self._set_outputs(outside, ready, store, workload)

    def _on(self, host: kubernetes.Provider) -> pulumi.ResourceOptions:
        """Return the options of a component whose objects are on the host."""
        owned = own_by(self._claim, self._args.config)
        return pulumi.ResourceOptions(parent=self, providers=[host], transformations=owned)

    def _inside(self, inner: kubernetes.Provider) -> pulumi.ResourceOptions:
        """Return the options of a component whose objects are in the inner cluster.

        They die with it: `destroy` skips them, so it never needs a living inner API. The engine hands `deleted_with`
        down to the children.
        """
        return pulumi.ResourceOptions(parent=self, providers=[inner], deleted_with=self)

    def _after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        """Return the options of a step: steps act on their own, so no data says what must be there first."""
        return pulumi.ResourceOptions(parent=self, depends_on=list(resources))

    def _declare_claim(self) -> steps.Claim:
        """Declare the objects that are created first and deleted last: the record, the namespace, the residue guard."""
        config = self._args.config
        inputs = {
            **self._access,
            "stack": self._args.stack,
            "settings": json.dumps(list_fixed(config)),
            "create_namespace": config.host.create_namespace,
            "namespace_body": host_namespace.build_host_namespace(config),
            "residue_seconds": config.timeouts.seconds(RESIDUE_LIMIT_SECONDS),
            "retained": storage.list_retained(config),
            **describe_lease(config),
        }
        return steps.Claim(steps.ClaimStep(), f"{self._name}-claim", inputs, pulumi.ResourceOptions(parent=self))

    def _declare_keys(self, claim: steps.Claim) -> steps.ClusterKeys:
        """Declare the keys; etcd's data cannot be read without them, so they stay when the data stay."""
        opts = self._after(claim)
        opts.retain_on_delete = self._args.config.control_plane.etcd_retain
        kms = render_kms_config(self._args.config.encryption)
        inputs = {**self._access, **({"kms_config": kms} if kms else {})}
        return steps.ClusterKeys(steps.ClusterKeysStep(), f"{self._name}-keys", inputs, opts)

    def _declare_nodes(self, host: kubernetes.Provider, network: Network, keys: steps.ClusterKeys) -> Nodes:
        """Declare all nodes at once."""
        args = NodesArgs(
            config=self._args.config,
            nodes=build_nodes(self._args.config),
            access=self._access,
            image=self._args.image,
            accelerator=self._args.accelerator,
            cloud_init_schemas=self._args.cloud_init_schemas,
            network=network,
            keys=keys,
        )
        return Nodes(f"{self._name}-nodes", args, self._on(host))

    def _declare_outside(self, nodes: Nodes) -> steps.OutsideReady:
        """Declare the proof from outside."""
        config = self._args.config
        inputs = {
            **self._access,
            "control_planes": [node.name for node in control_planes(build_nodes(config))],
            "stack": self._args.stack,
            "mode": config.access.mode,
            "local_port": config.local_port,
            "node_port": config.access.node_port or 0,
            "kinky_command": self._args.kinky_command,
            # Another user's files are elsewhere: the kubeconfig has to be written for them.
            "ca_file": self._args.ca_file,
            "limit_seconds": config.timeouts.seconds(OUTSIDE_LIMIT_SECONDS),
        }
        return steps.OutsideReady(steps.OutsideReadyStep(), f"{self._name}-outside", inputs, self._after(nodes))

    def _declare_gate(self, outside: steps.OutsideReady) -> gate_steps.Gate:
        """Declare the gate, closed: the first thing that is written inside."""
        inputs = {
            **self._access,
            "server": outside.server,
            "kubeconfig_text": outside.kubeconfig_text,
            # Another policy is another gate, which has to be written.
            "wall": names.content_hash(json.dumps(gate.build_gate(), sort_keys=True).encode()),
            "limit_seconds": self._args.config.timeouts.seconds(GATE_LIMIT_SECONDS),
        }
        return gate_steps.Gate(gate_steps.GateStep(), f"{self._name}-gate", inputs, pulumi.ResourceOptions(parent=self))

    def _declare_nodes_ready(
        self, network: Network, outside: steps.OutsideReady, node_network: NodeNetwork
    ) -> steps.NodesReady:
        """Declare the proof that all nodes are Ready, which they are only with a node network."""
        inputs = {
            **self._access,
            "server": outside.server,
            "addresses": network.node_ips,
            "limit_seconds": self._args.config.timeouts.seconds(NODES_LIMIT_SECONDS),
        }
        return steps.NodesReady(steps.NodesReadyStep(), f"{self._name}-ready", inputs, self._after(node_network))

    def _declare_addons(self, inner: kubernetes.Provider, ready: steps.NodesReady) -> Addons:
        """Declare name resolution and the store's controller."""
        args = AddonsArgs(
            config=self._args.config,
            custom_resource_definitions=self._args.custom_resource_definitions,
            accelerator=self._args.accelerator,
            nodes_ready=ready,
        )
        return Addons(f"{self._name}-addons", args, self._inside(inner))

    def _declare_values(
        self,
        claim: steps.Claim,
        keys: steps.ClusterKeys,
        host: kubernetes.Provider,
        outside: steps.OutsideReady,
        inner: kubernetes.Provider,
    ) -> StoreValues:
        """Declare the store's values: before any VM, unless they are inside."""
        inside = stores.of(self._args.config).is_inside()
        args = StoreValuesArgs(
            config=self._args.config,
            access=self._access,
            store=self._args.store,
            server=outside.server if inside else "",
            # The namespace on the host comes from the claim, and a server is told the keys' public parts.
            after=[claim, keys],
        )
        opts = self._inside(inner) if inside else self._on(host)
        return StoreValues(f"{self._name}-store-values", args, opts)

    def _declare_store(
        self,
        inner: kubernetes.Provider,
        outside: steps.OutsideReady,
        values: StoreValues,
        addons: Addons,
        ready: steps.NodesReady,
    ) -> SecretsStore:
        """Declare the secrets store inside, and its proof."""
        args = SecretsStoreArgs(
            config=self._args.config,
            access=self._access,
            store=self._args.store,
            server=outside.server,
            kubeconfig_text=outside.kubeconfig_text,
            values=values,
            controller=addons.controller,
            nodes_ready=ready,
            workers=[node.name for node in workers(build_nodes(self._args.config))],
        )
        return SecretsStore(f"{self._name}-store", args, self._inside(inner))

    def _declare_console(self, store: SecretsStore) -> None:
        """Declare the end of the consoles' logs; the opened gate is the end of the bootstrap."""
        if self._args.config.virtual_machine.serial_console_log == "bootstrap":
            inputs = {**self._access, "nodes": [node.name for node in build_nodes(self._args.config)]}
            console.ConsoleLogsStopped(f"{self._name}-console-logs", inputs, self._after(store.gate))

    def _declare_workload(self, outside: steps.OutsideReady) -> Workload | None:
        """Declare the demonstration, if it is asked for."""
        config = self._args.config
        if not config.workload.enabled:
            return None
        args = WorkloadArgs(config=config, access=self._access, store=self._args.store, server=outside.server)
        return Workload(f"{self._name}-workload", args, self._inside(self.workloads))

    def _set_outputs(
        self,
        outside: steps.OutsideReady,
        ready: steps.NodesReady,
        store: SecretsStore,
        workload: Workload | None,
    ) -> None:
        """Set what a user reads after `pulumi up`; nothing of it is secret."""
        answered = workload.answered if workload else None
        self.endpoint = outside.server
        self.kubeconfig = outside.kubeconfig
        self.nodes = ready.nodes
        self.evidence = pulumi.Output.all(
            cluster_uid=outside.cluster_uid,
            kubernetes_version=outside.kubernetes_version,
            ca_fingerprint=outside.ca_fingerprint,
            secrets_store=store.evidence,
            gate={"opened_at": store.gate.opened_at, "items": store.gate.items},
            workload={"node": answered.node, "secret": answered.secret_fingerprint} if answered else None,
        )
        self.timings = pulumi.Output.all(
            endpoint_tls_seconds=outside.tls_seconds,
            endpoint_ready_seconds=outside.ready_seconds,
            nodes_ready_seconds=ready.seconds,
            store_first_seconds=store.gate.first_seconds,
            store_second_seconds=store.gate.second_seconds,
            workload_answered_seconds=answered.seconds if answered else None,
        )
        told = ("endpoint", "kubeconfig", "nodes", "evidence", "timings")
        self.register_outputs({name: getattr(self, name) for name in told})
