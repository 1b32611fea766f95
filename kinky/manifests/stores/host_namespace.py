"""Kind `hostNamespace`: Secrets of the host's namespace, read with a token of a ServiceAccount there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kinky import names
from kinky.manifests.body import Body, Late
from kinky.manifests.store_reader import build_reader
from kinky.manifests.store_reader import decoy_key as decoy_key
from kinky.manifests.store_reader import remote_key as remote_key

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig

TOKEN_SECRET: Final = "host-store-token"  # noqa: S105 - the name of a Secret
"""Inner Secret in `kinky-system` with the token that reads the store; a live step writes and renews it."""
TOKEN_KEY: Final = "token"  # noqa: S105 - the name of a key


def is_inside() -> bool:
    """The values are on the host."""
    return False


def has_token() -> bool:
    """External Secrets cannot ask the host for one."""
    return True


def has_server() -> bool:
    """The host's own rules say who may read."""
    return False


def build_source(cfg: KinkyConfig) -> tuple[Body, ...]:
    """Return the reader with its rights, on the host."""
    return build_reader(cfg, cfg.host.namespace)


def build_rights(cfg: KinkyConfig) -> tuple[Body, ...]:
    """Reading a Secret of its own namespace is a right that External Secrets has."""
    return ()


def build_provider(cfg: KinkyConfig, *, server: Late, ca_bundle: Late) -> Body:
    """Return the provider that reads the host's namespace; by address, because the inner DNS does not know the host."""
    token = {"name": TOKEN_SECRET, "namespace": names.NAMESPACE_KINKY, "key": TOKEN_KEY}
    return {
        "kubernetes": {
            "server": {"url": server, "caBundle": ca_bundle},
            "remoteNamespace": cfg.host.namespace,
            "auth": {"token": {"bearerToken": token}},
        }
    }
