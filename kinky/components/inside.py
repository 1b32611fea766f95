"""The inside of a cluster: name resolution, the secrets store with its proof, the open gate, and the demonstration."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from kinky.components.addons import Addons, AddonsArgs
from kinky.components.cluster_args import InnerClusterArgs
from kinky.components.forming import Forming
from kinky.components.host_side import HostSide, declare_guard
from kinky.components.providers import build_inside_options, declare_inner
from kinky.components.secrets_store import SecretsStore, SecretsStoreArgs, StoreValues, StoreValuesArgs
from kinky.components.steps.console import ConsoleLogsStopped, ConsoleLogsStoppedInputs
from kinky.components.workload import Workload, WorkloadArgs
from kinky.topology.nodes import workers


@dataclass(frozen=True, kw_only=True)
class InsideArgs:
    """The arguments from which the inside is declared."""

    cluster: InnerClusterArgs
    host_side: HostSide
    formed: Forming
    dies_with: pulumi.Resource
    """The resource whose deletion ends the objects inside."""


class Inside(pulumi.ComponentResource):
    """All that waits for the closed gate, up to the provider for workloads, which waits for the open one."""

    store: SecretsStore
    workloads: kubernetes.Provider
    """The one way to declare workloads: it leads through the opened gate."""
    workload: Workload | None

    def __init__(self, name: str, args: InsideArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the inside."""
        super().__init__("kinky:cluster:Inside", name, None, opts)
        self._name, self._args = name, args
        addons = self._declare_addons()
        values = args.host_side.values or self._declare_values()
        self.store = self._declare_store(addons, values)
        self.workloads = declare_inner(self, name, "workloads", self.store.workloads_kubeconfig)
        self._declare_console()
        self.workload = self._declare_workload()
        # Without this guard a destroy would first drop from the state all that is inside.
        inside = [args.formed.node_network, addons, values, self.store, *([self.workload] if self.workload else [])]
        declare_guard(self, f"{name}-inside", args.host_side.access, after=inside)
        self.register_outputs({})

    def _by(self, provider: kubernetes.Provider) -> pulumi.ResourceOptions:
        """Return the options of a component whose objects this provider makes inside."""
        return build_inside_options(self, provider, dies_with=self._args.dies_with)

    def _declare_addons(self) -> Addons:
        """Declare name resolution and the store's controller."""
        args = AddonsArgs(
            config=self._args.cluster.config,
            custom_resource_definitions=self._args.cluster.custom_resource_definitions,
            accelerator=self._args.cluster.accelerator,
            nodes_ready=self._args.formed.ready,
        )
        return Addons(f"{self._name}-addons", args, self._by(self._args.formed.inner))

    def _declare_values(self) -> StoreValues:
        """Declare the values of a store that is inside."""
        host_side, formed = self._args.host_side, self._args.formed
        args = StoreValuesArgs(
            config=self._args.cluster.config,
            access=host_side.access,
            store=self._args.cluster.store,
            server=formed.outside.outputs.server,
            after=[host_side.record, host_side.keys],
        )
        return StoreValues(f"{self._name}-store-values", args, self._by(formed.inner))

    def _declare_store(self, addons: Addons, values: StoreValues) -> SecretsStore:
        """Declare the secrets store inside, and its proof."""
        formed = self._args.formed
        args = SecretsStoreArgs(
            config=self._args.cluster.config,
            access=self._args.host_side.access,
            store=self._args.cluster.store,
            server=formed.outside.outputs.server,
            kubeconfig_text=formed.outside.outputs.kubeconfig_text,
            values=values,
            controller=addons.controller,
            nodes_ready=formed.ready,
            workers=tuple(node.name for node in workers(self._args.cluster.nodes)),
        )
        return SecretsStore(f"{self._name}-store", args, self._by(formed.inner))

    def _declare_console(self) -> None:
        """Declare the end of the consoles' logs; the opened gate is the end of the bootstrap."""
        args = self._args.cluster
        if args.config.virtual_machine.serial_console_log == "bootstrap":
            inputs = ConsoleLogsStoppedInputs(
                access=self._args.host_side.access, nodes=tuple(node.name for node in args.nodes)
            )
            opts = pulumi.ResourceOptions(parent=self, depends_on=[self.store.gate])
            ConsoleLogsStopped(f"{self._name}-console-logs", inputs, opts)

    def _declare_workload(self) -> Workload | None:
        """Declare the demonstration, if it is asked for."""
        config = self._args.cluster.config
        if not config.workload.enabled:
            return None
        args = WorkloadArgs(
            config=config,
            access=self._args.host_side.access,
            store=self._args.cluster.store,
            server=self._args.formed.outside.outputs.server,
        )
        return Workload(f"{self._name}-workload", args, self._by(self.workloads))
