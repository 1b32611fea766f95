"""Kind `inCluster`: Secrets of a namespace of the inner cluster, read with tokens that External Secrets asks for.

The store needs the cluster that it serves, and dies with it: for clusters that are thrown away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kinky import names
from kinky.manifests.addons.external_secrets import build_token_right
from kinky.manifests.body import Body, Late, build_namespace
from kinky.manifests.store_reader import build_reader
from kinky.manifests.store_reader import decoy_key as decoy_key
from kinky.manifests.store_reader import remote_key as remote_key
from kinky.topology.addresses import api_addresses

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig

APP: Final = "secrets-store"


def is_inside() -> bool:
    """The values are in the inner cluster."""
    return True


def has_token() -> bool:
    """External Secrets asks for a token at each read."""
    return False


def has_server() -> bool:
    """The inner cluster's own rules say who may read."""
    return False


def build_source(cfg: KinkyConfig) -> tuple[Body, ...]:
    """Return the namespace of the values, and the reader with its rights."""
    return build_namespace(names.NAMESPACE_STORE, app=APP), *build_reader(cfg, names.NAMESPACE_STORE)


def build_rights(cfg: KinkyConfig) -> tuple[Body, ...]:
    """Return the right to ask for tokens of the reader, and of nobody else."""
    return build_token_right(names.store_reader(cfg.cluster.name), names.NAMESPACE_STORE)


def build_provider(cfg: KinkyConfig, *, server: Late, ca_bundle: Late) -> Body:
    """Return the provider that reads the inner namespace; the API by address, so that no read needs the inner DNS."""
    # The controller-manager keeps this ConfigMap in every namespace, so another CA needs no change here.
    ca = {
        "type": "ConfigMap",
        "name": "kube-root-ca.crt",
        "key": "ca.crt",
        "namespace": names.NAMESPACE_KINKY,
    }
    reader = {"name": names.store_reader(cfg.cluster.name), "namespace": names.NAMESPACE_STORE}
    return {
        "kubernetes": {
            "server": {"url": f"https://{api_addresses(cfg).primary_host}:443", "caProvider": ca},
            "remoteNamespace": names.NAMESPACE_STORE,
            "auth": {"serviceAccount": reader},
        }
    }
