"""The host side of a cluster: all that is declared before its API answers, and needs nothing of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pulumi
import pulumi_kubernetes as kubernetes

from kinky.components.cluster_args import InnerClusterArgs
from kinky.components.lease import describe_lease, own_by
from kinky.components.live_step import StepInputs
from kinky.components.network import Network, NetworkArgs
from kinky.components.nodes import Nodes, NodesArgs
from kinky.components.providers import declare_host
from kinky.components.secrets_store import StoreValues, StoreValuesArgs
from kinky.components.steps.identity import ClusterIdentity, HostGuard
from kinky.components.steps.keys import ClusterKeys, ClusterKeysInputs
from kinky.components.steps.record import ClusterRecord, ClusterRecordInputs
from kinky.config.change import list_fixed
from kinky.keys.encryption_config import render_kms_config
from kinky.kube.access import HostAccess
from kinky.manifests import host_namespace, storage, stores

RESIDUE_LIMIT_SECONDS = 300.0
"""Launcher pods end some time after their VM; a namespace takes up to a minute more."""


class HostSide(pulumi.ComponentResource):
    """Identity and record, addresses, keys, values of a store that is not inside, and all VMs at once."""

    access: HostAccess
    """The host, and the identities that each step compares before it acts."""
    record: ClusterRecord
    keys: ClusterKeys
    network: Network
    nodes: Nodes
    values: StoreValues | None
    """The store's values, if the store is not inside."""

    def __init__(self, name: str, args: InnerClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the objects on the host, and at last the guard that a destroy meets first."""
        super().__init__("kinky:cluster:HostSide", name, None, opts)
        self._name, self._args = name, args
        self.access = self._declare_identity()
        self.record = self._declare_record()
        host = declare_host(self, name, args.access, record=self.record)
        addressed = NetworkArgs(config=args.config, nodes=args.nodes, accelerator=args.accelerator)
        self.network = Network(f"{name}-network", addressed, self._on(host))
        self.keys = self._declare_keys()
        self.values = self._declare_values(host)
        self.nodes = self._declare_nodes(host)
        values = [self.values] if self.values else []
        declare_guard(self, name, self.access, after=[self.network, self.keys, self.nodes, *values])
        self.register_outputs({})

    def _on(self, host: kubernetes.Provider) -> pulumi.ResourceOptions:
        """Return the options of a component whose objects are on the host."""
        owned = own_by(self.record, self._args.config)
        return pulumi.ResourceOptions(parent=self, providers=[host], transformations=owned)

    def _declare_identity(self) -> HostAccess:
        """Declare the identity, and return the access with which each other step knows its host and its cluster."""
        access, opts = self._args.access, pulumi.ResourceOptions(parent=self)
        made = ClusterIdentity(f"{self._name}-identity", StepInputs(access=access), opts).outputs
        return replace(access, host_uid=made.host_uid, cluster_id=made.cluster_id)

    def _declare_record(self) -> ClusterRecord:
        """Declare the objects that are created first and deleted last: the record, the namespace, the residue guard."""
        config = self._args.config
        inputs = ClusterRecordInputs(
            access=self.access,
            stack=self._args.stack,
            settings=json.dumps(list_fixed(config)),
            create_namespace=config.host.create_namespace,
            namespace_body=host_namespace.build_host_namespace(config),
            residue_seconds=config.timeouts.seconds(RESIDUE_LIMIT_SECONDS),
            retained=tuple(storage.list_retained(config)),
            lease=describe_lease(config),
        )
        return ClusterRecord(f"{self._name}-record", inputs, pulumi.ResourceOptions(parent=self))

    def _declare_keys(self) -> ClusterKeys:
        """Declare the keys; etcd's data cannot be read without them, so they stay when the data stay."""
        config = self._args.config
        # The step uses no provider that would wait for the namespace.
        opts = pulumi.ResourceOptions(
            parent=self, depends_on=[self.record], retain_on_delete=config.control_plane.etcd_retain
        )
        inputs = ClusterKeysInputs(access=self.access, kms_config=render_kms_config(config.encryption))
        return ClusterKeys(f"{self._name}-keys", inputs, opts)

    def _declare_values(self, host: kubernetes.Provider) -> StoreValues | None:
        """Declare the values of a store that is not inside, before any VM."""
        if stores.of(self._args.config).is_inside():
            return None
        args = StoreValuesArgs(
            config=self._args.config,
            access=self.access,
            store=self._args.store,
            server="",
            # A server of the store is told the keys' public parts.
            after=[self.record, self.keys],
        )
        return StoreValues(f"{self._name}-store-values", args, self._on(host))

    def _declare_nodes(self, host: kubernetes.Provider) -> Nodes:
        """Declare all nodes at once."""
        args = NodesArgs(
            config=self._args.config,
            nodes=self._args.nodes,
            access=self.access,
            image=self._args.image,
            accelerator=self._args.accelerator,
            cloud_init_schemas=self._args.cloud_init_schemas,
            network=self.network,
            keys=self.keys,
        )
        return Nodes(f"{self._name}-nodes", args, self._on(host))


def declare_guard(parent: pulumi.Resource, name: str, access: HostAccess, *, after: Sequence[pulumi.Resource]) -> None:
    """Declare a guard: a destroy meets it before any of these, and stops if this is not the cluster's host."""
    opts = pulumi.ResourceOptions(parent=parent, depends_on=list(after))
    HostGuard(f"{name}-guard", StepInputs(access=access), opts)
