"""The addons of the inner cluster: first those that make nodes Ready, then the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from kinky.accelerator import Accelerator
from kinky.components.bodies import declare_all
from kinky.config.model import KinkyConfig
from kinky.manifests.addons.table import Stage, build_addons, list_addons
from kinky.manifests.body import Body


@dataclass(frozen=True, kw_only=True)
class NodeNetworkArgs:
    """Inputs of the node network."""

    config: KinkyConfig


class NodeNetwork(pulumi.ComponentResource):
    """Overlay and Service network of the inner cluster, without which no node is Ready."""

    def __init__(self, name: str, args: NodeNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare access to kubelets, flannel and kube-proxy; nothing is awaited, Ready nodes are the proof."""
        super().__init__("kinky:inner:NodeNetwork", name, None, opts)
        declare_all(self, build_addons(args.config, Stage.NETWORK), prefix=name)
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class AddonsArgs:
    """Inputs of the addons."""

    config: KinkyConfig
    custom_resource_definitions: Sequence[Body]
    """Those of External Secrets, as the node image's build left them."""
    accelerator: Accelerator
    nodes_ready: pulumi.Resource


class Addons(pulumi.ComponentResource):
    """Name resolution, and the controller that reads the secrets store."""

    controller: Sequence[pulumi.Resource]
    """Inputs of the secrets store inside; it does not wait for name resolution."""

    def __init__(self, name: str, args: AddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare CoreDNS, the definitions and the controller."""
        super().__init__("kinky:inner:Addons", name, None, opts)
        # While nodes are still joining, an emulated control plane has no processor time left for these (D16).
        early = [args.nodes_ready] if args.accelerator is Accelerator.EMULATION else []
        for addon in list_addons(Stage.SERVICES):
            awaited = addon.awaited_kinds
            declare_all(self, addon.build(args.config), prefix=name, await_kinds=awaited, depends_on=early)
        definitions = declare_all(self, args.custom_resource_definitions, prefix=name, depends_on=early)
        controllers = build_addons(args.config, Stage.CONTROLLERS)
        # Not awaited: the canary is the proof.
        controller = declare_all(self, controllers, prefix=name, depends_on=[*early, *definitions])
        self.controller = [*definitions, *controller]
        self.register_outputs({})
