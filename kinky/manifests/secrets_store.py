"""The inner end of the secrets store: a namespace on the host, read by name, and the canary that proves the trip.

No value is ever in these bodies; values are written straight into the host by a live step.
"""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.manifests.body import Body, Late, inner_metadata

API_VERSION: Final = "external-secrets.io/v1"
STORE: Final = "kinky"
TOKEN_SECRET: Final = "host-store-token"  # noqa: S105 - the name of a Secret
"""Inner Secret in `kinky-system` with the token that reads the store; a live step writes and renews it."""
TOKEN_KEY: Final = "token"  # noqa: S105 - the name of a key

CANARY_VALUE: Final = "canary"
CANARY_KEY: Final = "nonce"
WORKLOAD_VALUE: Final = "message"
WORKLOAD_KEY: Final = "message"
UNKNOWN_VALUE: Final = "unknown"
"""Name that the reader may read and that nobody ever writes: what the store says of it is the gate's evidence."""
PROGRAM_VALUES: Final = (CANARY_VALUE, WORKLOAD_VALUE, UNKNOWN_VALUE)
"""Names of values that the program makes, so that no operator's value can stand in their place."""

DECOY: Final = "decoy"
"""Name of the ExternalSecret that asks for a host Secret which is there and is not the store's."""

_STORE_CHECK_SECONDS: Final = 300


def store_values(cfg: KinkyConfig) -> tuple[str, ...]:
    """Return the names of the values that the program makes and the inner cluster may read."""
    return (CANARY_VALUE, *((WORKLOAD_VALUE,) if cfg.workload.enabled else ()))


def build_store(cfg: KinkyConfig, *, host_server: Late, host_ca_bundle: Late) -> tuple[Body, ...]:
    """Return the ClusterSecretStore and the canary.

    Args:
        host_server: URL of the host API as a guest reaches it, by address: the inner DNS does not know it.
        host_ca_bundle: base64 of the host CA's certificates in PEM.
    """
    return (
        _cluster_secret_store(cfg, host_server, host_ca_bundle),
        build_external_secret(cfg, CANARY_VALUE, CANARY_KEY, namespace=names.NAMESPACE_KINKY),
    )


def build_probes(cfg: KinkyConfig) -> tuple[Body, Body]:
    """Return two ExternalSecrets that must never become Ready: for a key that is absent, and for the decoy.

    The gate makes them and takes them away again: External Secrets would ask for ever.
    """
    unknown = build_external_secret(cfg, UNKNOWN_VALUE, CANARY_KEY, namespace=names.NAMESPACE_KINKY)
    decoy = build_external_secret(cfg, DECOY, CANARY_KEY, namespace=names.NAMESPACE_KINKY)
    decoy["spec"]["data"][0]["remoteRef"]["key"] = names.store_decoy(cfg.cluster.name)
    return unknown, decoy


def build_external_secret(cfg: KinkyConfig, value: str, key: str, *, namespace: str) -> Body:
    """Return the ExternalSecret that copies one value of the store into a Secret of the same name."""
    remote = {
        "key": names.store_secret(cfg.cluster.name, value),
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


def _cluster_secret_store(cfg: KinkyConfig, host_server: Late, host_ca_bundle: Late) -> Body:
    token = {"name": TOKEN_SECRET, "namespace": names.NAMESPACE_KINKY, "key": TOKEN_KEY}
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterSecretStore",
        "metadata": inner_metadata(STORE, app="secrets-store"),
        "spec": {
            "refreshInterval": _STORE_CHECK_SECONDS,
            # Elsewhere an ExternalSecret would let any namespace read what is meant for these.
            "conditions": [{"namespaces": [names.NAMESPACE_KINKY, names.NAMESPACE_WORKLOAD]}],
            "provider": {
                "kubernetes": {
                    "server": {"url": host_server, "caBundle": host_ca_bundle},
                    "remoteNamespace": cfg.host.namespace,
                    "auth": {"token": {"bearerToken": token}},
                }
            },
        },
    }
