"""The cluster whose keys are rotated: what a rotation must know besides what every operation knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kinky.kube.connection import JsonObject
from kinky.manifests import secrets_store, stores
from kinky.operations.site import Site
from kinky.reach.reach import Reach
from kinky.stores.opening import Description, describe_store, open_store
from kinky.stores.store import Store
from kinky.topology.nodes import build_nodes, control_planes, workers

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig


@dataclass(frozen=True, kw_only=True)
class KeySite(Site):
    """One living cluster, the secrets store that its keys open, and who encrypts its etcd."""

    store_description: Description
    store_has_token: bool
    """Whether the store is read with a token that lasts."""
    probes: Sequence[JsonObject]
    """ExternalSecrets that the store must refuse."""
    encryption_provider: str
    drop_now: bool = False
    """Whether the admin wants an old key dropped although it may still be needed."""

    @property
    def store(self) -> Store:
        """The cluster's secrets store."""
        return open_store(self.store_description, self.reach)

    @property
    def token_hours(self) -> int:
        """Life of the store's token."""
        return int(self.store_description["token_hours"])


def build_site(config: KinkyConfig, reach: Reach, *, drop_now: bool = False) -> KeySite:
    """Build the site of a configured cluster; sends nothing."""
    nodes = build_nodes(config)
    return KeySite(
        reach=reach,
        control_planes=tuple(node.name for node in control_planes(nodes)),
        workers=tuple(node.name for node in workers(nodes)),
        is_ephemeral=config.cluster.ephemeral,
        time_scale=config.timeouts.scale,
        store_description=describe_store(config),
        store_has_token=stores.of(config).has_token(),
        probes=secrets_store.build_probes(config),
        encryption_provider=config.encryption.provider,
        drop_now=drop_now,
    )
