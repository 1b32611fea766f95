"""The addons of an inner cluster: what builds each one, and when it is declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from kinky.config.model import KinkyConfig
from kinky.manifests.addons.cluster_access import build_cluster_access
from kinky.manifests.addons.coredns import build_coredns
from kinky.manifests.addons.external_secrets import build_external_secrets
from kinky.manifests.addons.flannel import build_flannel
from kinky.manifests.addons.kube_proxy import build_kube_proxy
from kinky.manifests.body import Body


class Stage(Enum):
    """When an addon is declared."""

    NETWORK = "network"
    """As soon as the API answers: without it no node is Ready."""
    SERVICES = "services"
    """Beside the nodes, or after them where their processors are emulated."""
    CONTROLLERS = "controllers"
    """When the kinds that it reads are served: such a controller ends without them."""


@dataclass(frozen=True, kw_only=True)
class Addon:
    """One addon."""

    build: Callable[[KinkyConfig], tuple[Body, ...]]
    """Returns its objects in the order of creation."""
    stage: Stage
    awaited_kinds: tuple[str, ...] = ()
    """Kinds of objects that `up` waits for; what another proof covers is not awaited."""


ADDONS: Final = (
    Addon(build=build_cluster_access, stage=Stage.NETWORK),
    Addon(build=build_flannel, stage=Stage.NETWORK),
    Addon(build=build_kube_proxy, stage=Stage.NETWORK),
    Addon(build=build_coredns, stage=Stage.SERVICES, awaited_kinds=("Deployment",)),
    Addon(build=build_external_secrets, stage=Stage.CONTROLLERS),
)


def list_addons(stage: Stage) -> list[Addon]:
    """Return the addons of a stage."""
    return [addon for addon in ADDONS if addon.stage is stage]


def build_addons(cfg: KinkyConfig, *stages: Stage) -> list[Body]:
    """Return the objects of all addons of these stages in the order of creation; without stages, of all."""
    return [body for addon in ADDONS if addon.stage in (stages or Stage) for body in addon.build(cfg)]
