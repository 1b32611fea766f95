"""`InnerCluster`: a Kubernetes cluster in VMs of a host cluster, proved from outside, with its secrets store wired."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from kinky.components.cluster_args import InnerClusterArgs
from kinky.components.forming import Forming, FormingArgs
from kinky.components.host_side import HostSide
from kinky.components.inside import Inside, InsideArgs


class InnerCluster(pulumi.ComponentResource):
    """The cluster; `workloads` is a provider for its users that exists only after the secrets store was proved."""

    endpoint: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    """Path of the kubeconfig; it names a command that fetches a credential and holds no key."""
    nodes: pulumi.Output[Any]
    evidence: pulumi.Output[Any]
    timings: pulumi.Output[Any]
    workloads: kubernetes.Provider

    def __init__(self, name: str, args: InnerClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the whole cluster, in the order of `pulumi up`."""
        super().__init__("kinky:cluster:InnerCluster", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        host_side = HostSide(name, args, own)
        formed = Forming(name, FormingArgs(cluster=args, host_side=host_side, dies_with=self), own)
        inside = Inside(name, InsideArgs(cluster=args, host_side=host_side, formed=formed, dies_with=self), own)
        self.workloads = inside.workloads
        self._set_outputs(formed, inside)

    def _set_outputs(self, formed: Forming, inside: Inside) -> None:
        """Set what a user reads after `pulumi up`; nothing of it is secret."""
        outside, ready, store = formed.outside.outputs, formed.ready.outputs, inside.store
        opened = store.gate.outputs
        answered = inside.workload.answered.outputs if inside.workload else None
        self.endpoint = pulumi.Output.from_input(outside.server)
        self.kubeconfig = pulumi.Output.from_input(outside.kubeconfig)
        self.nodes = pulumi.Output.from_input(ready.nodes)
        self.evidence = pulumi.Output.all(
            cluster_uid=outside.cluster_uid,
            kubernetes_version=outside.kubernetes_version,
            ca_fingerprint=outside.ca_fingerprint,
            secrets_store=store.evidence,
            gate={"opened_at": opened.opened_at, "items": opened.items},
            workload={"node": answered.node, "secret": answered.secret_fingerprint} if answered else None,
        )
        self.timings = pulumi.Output.all(
            endpoint_tls_seconds=outside.tls_seconds,
            endpoint_ready_seconds=outside.ready_seconds,
            nodes_ready_seconds=ready.seconds,
            store_first_seconds=opened.first_seconds,
            store_second_seconds=opened.second_seconds,
            workload_answered_seconds=answered.seconds if answered else None,
        )
        told = ("endpoint", "kubeconfig", "nodes", "evidence", "timings")
        self.register_outputs({name: getattr(self, name) for name in told})
