"""From a configuration, or what a live step was given of it, to the store; the one place that looks at the kind."""

from collections.abc import Callable, Mapping
from typing import Any

from kinky.bootstrap.stores.embedded import EmbeddedStore
from kinky.bootstrap.stores.host_namespace import HostNamespaceStore
from kinky.bootstrap.stores.store import Store
from kinky.config.model import KinkyConfig
from kinky.config.store import EMBEDDED, HOST_NAMESPACE
from kinky.kube.access import HostAccess
from kinky.kube.inner import InnerApi

Description = dict[str, Any]
"""A store in plain values, none of them secret: it goes through Pulumi's state."""


def describe_store(cfg: KinkyConfig) -> Description:
    """Describe the configured store, for `open_store` in another process."""
    return {"kind": cfg.secrets_store.kind, "token_hours": cfg.secrets_store.token_hours}


def open_store(
    described: Mapping[str, Any], access: HostAccess, cluster: str, *, inner: Callable[[], InnerApi]
) -> Store:
    """Open a store; sends nothing.

    Args:
        inner: Opens the inner API, when the store needs it.
    """
    kinds: Mapping[str, Callable[[], Store]] = {
        HOST_NAMESPACE: lambda: HostNamespaceStore(access, cluster, token_hours=int(described["token_hours"])),
        EMBEDDED: lambda: EmbeddedStore(cluster, inner=inner),
    }
    return kinds[str(described["kind"])]()
