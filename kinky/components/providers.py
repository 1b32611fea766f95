"""The providers of the two clusters: of the host one, of the inner cluster one for each gate that leads to it."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from kinky.kube.access import HostAccess

INNER_CALL_SECONDS = 180
"""One call of the provider to the inner API; the longest seen were a minute, while all DaemonSets started."""


def declare_host(
    parent: pulumi.Resource, name: str, access: HostAccess, *, record: pulumi.Resource
) -> kubernetes.Provider:
    """Declare the provider for the host; through it, every object on the host comes after the record."""
    return kubernetes.Provider(
        f"{name}-host",
        # The path, not the content: a kubeconfig may hold a key, and this goes to the state.
        kubeconfig=access.kubeconfig,
        context=access.context,
        namespace=access.namespace,
        cluster_identifier=f"{name}-host",
        enable_server_side_apply=True,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[record]),
    )


def build_inside_options(
    parent: pulumi.Resource, provider: kubernetes.Provider, *, dies_with: pulumi.Resource
) -> pulumi.ResourceOptions:
    """Return the options of a component whose objects are in the inner cluster.

    They die with it: `destroy` skips them, so it never needs a living inner API. The engine hands `deleted_with`
    down to the children.
    """
    return pulumi.ResourceOptions(parent=parent, providers=[provider], deleted_with=dies_with)


def declare_inner(parent: pulumi.Resource, name: str, role: str, kubeconfig: pulumi.Input[str]) -> kubernetes.Provider:
    """Declare a provider for the inner cluster."""
    return kubernetes.Provider(
        f"{name}-{role}",
        kubeconfig=pulumi.Output.secret(kubeconfig),
        # Another path to the same cluster is the same cluster.
        cluster_identifier=f"{name}-inner",
        enable_server_side_apply=True,
        enable_config_map_mutable=True,
        # The default of 32 s is too short for an API server under emulation that also starts pods.
        kube_client_settings=kubernetes.KubeClientSettingsArgs(timeout=INNER_CALL_SECONDS),
        opts=pulumi.ResourceOptions(parent=parent),
    )
