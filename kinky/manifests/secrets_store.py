"""The inner end of the secrets store, whatever its kind, and the canary that proves the trip.

No value is ever in these bodies; values are written straight into the store by a live step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kinky import names
from kinky.manifests import stores
from kinky.manifests.body import Body, Late, inner_metadata
from kinky.manifests.store_values import CANARY_KEY, CANARY_VALUE, UNKNOWN_VALUE

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig

API_VERSION: Final = "external-secrets.io/v1"
STORE: Final = "kinky"

DECOY: Final = "decoy"
"""Name of the ExternalSecret that asks for what is there and is not the store's."""

_STORE_CHECK_SECONDS: Final = 300


def build_store(cfg: KinkyConfig, *, server: Late, ca_bundle: Late) -> tuple[Body, ...]:
    """Return the ClusterSecretStore and the canary.

    Args:
        server: URL of the host as a guest reaches it; a store elsewhere knows its own.
        ca_bundle: base64 of the certificates of that URL's CAs in PEM; None for the public ones.
    """
    return (
        _cluster_secret_store(stores.of(cfg).build_provider(cfg, server=server, ca_bundle=ca_bundle)),
        build_external_secret(cfg, CANARY_VALUE, CANARY_KEY, namespace=names.NAMESPACE_KINKY),
    )


def build_probes(cfg: KinkyConfig) -> tuple[Body, Body]:
    """Return two ExternalSecrets that must never become Ready: for a key that is absent, and for the decoy.

    The gate makes them and takes them away again: External Secrets would ask for ever.
    """
    unknown = build_external_secret(cfg, UNKNOWN_VALUE, CANARY_KEY, namespace=names.NAMESPACE_KINKY)
    decoy = build_external_secret(cfg, DECOY, CANARY_KEY, namespace=names.NAMESPACE_KINKY)
    decoy["spec"]["data"][0]["remoteRef"]["key"] = stores.of(cfg).decoy_key(cfg)
    return unknown, decoy


def build_external_secret(cfg: KinkyConfig, value: str, key: str, *, namespace: str) -> Body:
    """Return the ExternalSecret that copies one value of the store into a Secret of the same name."""
    remote = {
        "key": stores.of(cfg).remote_key(cfg, value),
        "property": key,
        "conversionStrategy": "Default",
        "decodingStrategy": "None",
        "metadataPolicy": "None",
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "ExternalSecret",
        "metadata": inner_metadata(value, app="secrets-store", namespace=namespace),
        "spec": {
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": STORE},
            "refreshPolicy": "Periodic",
            "refreshInterval": f"{cfg.secrets_store.refresh_seconds}s",
            # Retain: when the store is away, what was read stays, and pods go on.
            "target": {"name": value, "creationPolicy": "Owner", "deletionPolicy": "Retain"},
            "data": [{"secretKey": key, "remoteRef": remote}],
        },
    }


def _cluster_secret_store(provider: Body) -> Body:
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterSecretStore",
        "metadata": inner_metadata(STORE, app="secrets-store"),
        "spec": {
            "refreshInterval": _STORE_CHECK_SECONDS,
            # Elsewhere an ExternalSecret would let any namespace read what is meant for these.
            "conditions": [{"namespaces": [names.NAMESPACE_KINKY, names.NAMESPACE_WORKLOAD]}],
            "provider": provider,
        },
    }
