"""From a configuration, or what a live step was given of it, to the store; the one place that looks at the kind."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kinky import names, paths
from kinky.config.ca_bundle import read_ca
from kinky.config.store_kinds import HOST_NAMESPACE, IN_CLUSTER, VAULT
from kinky.kube.access import HostAccess
from kinky.reach.reach import Reach
from kinky.stores.host_namespace import HostNamespaceStore
from kinky.stores.in_cluster import InClusterStore
from kinky.stores.store import Store
from kinky.stores.vault import VaultStore
from kinky.stores.vault_target import VaultTarget

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig

Description = dict[str, Any]
"""A store in plain values, none of them secret: it goes through Pulumi's state."""


def describe_store(cfg: KinkyConfig) -> Description:
    """Describe the configured store, for `open_store` in another process."""
    described: Description = {"kind": cfg.secrets_store.kind, "token_hours": cfg.secrets_store.token_hours}
    if cfg.secrets_store.kind != VAULT:
        return described
    ca = read_ca(cfg, base=paths.project_root())
    return described | {"vault": VaultTarget.build(cfg, ca=ca).describe()}


def build_ca_bundle(described: Mapping[str, Any]) -> str | None:
    """Build what External Secrets verifies a server of the store's own by; None when it knows the CAs."""
    ca = str((described.get("vault") or {}).get("ca", ""))
    return base64.b64encode(ca.encode()).decode() if ca else None


def open_store(described: Mapping[str, Any], reach: Reach) -> Store:
    """Open a store; sends nothing, and asks the inner API only for a store that needs it."""
    kinds: Mapping[str, Callable[[], Store]] = {
        HOST_NAMESPACE: lambda: HostNamespaceStore(reach, token_hours=int(described["token_hours"])),
        IN_CLUSTER: lambda: InClusterStore(reach),
        VAULT: lambda: VaultStore(VaultTarget.parse(described["vault"], place=_find_place(reach.access))),
    }
    return kinds[str(described["kind"])]()


def _find_place(access: HostAccess) -> str:
    """Find what tells clusters of one name apart on a server: the same after a cluster was taken over."""
    return names.content_hash(f"{access.host_uid}/{access.namespace}".encode())[: names.HASH_LENGTH]
