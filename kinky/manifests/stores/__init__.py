"""The form of each kind of secrets store for External Secrets: one module each, with the functions of `StoreForm`.

Nothing but `of` looks at the kind; who needs to know something of it asks the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from kinky.config.store_kinds import HOST_NAMESPACE, IN_CLUSTER, VAULT
from kinky.manifests.body import Body, Late
from kinky.manifests.stores import host_namespace, in_cluster, vault

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig


class StoreForm(Protocol):
    """One kind of store, as a module."""

    def is_inside(self) -> bool:
        """Tell whether the values are in the inner cluster, so that they can be written only when it is there."""

    def has_token(self) -> bool:
        """Tell whether a token that lasts is put into the inner cluster, and has to be renewed."""

    def has_server(self) -> bool:
        """Tell whether a server of its own must be told who may read."""

    def remote_key(self, cfg: KinkyConfig, value: str) -> str:
        """Return the key by which an ExternalSecret asks for a value."""

    def decoy_key(self, cfg: KinkyConfig) -> str:
        """Return the key of what is there, beside the store, and must be refused."""

    def build_source(self, cfg: KinkyConfig) -> tuple[Body, ...]:
        """Return the objects beside the values, where these are: who may read them."""

    def build_rights(self, cfg: KinkyConfig) -> tuple[Body, ...]:
        """Return the inner objects that let External Secrets ask for the credential that it reads with."""

    def build_provider(self, cfg: KinkyConfig, *, server: Late, ca_bundle: Late) -> Body:
        """Return the provider of the ClusterSecretStore.

        Args:
            server: URL of the host as a guest reaches it; a store elsewhere knows its own.
            ca_bundle: base64 of the certificates of the CAs of that URL in PEM; None for the public ones.
        """


KINDS: Final[Mapping[str, StoreForm]] = {HOST_NAMESPACE: host_namespace, IN_CLUSTER: in_cluster, VAULT: vault}


def of(cfg: KinkyConfig) -> StoreForm:
    """Return the form of the configured kind."""
    return KINDS[cfg.secrets_store.kind]
