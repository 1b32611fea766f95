"""The section about the secrets store, with its defaults."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from kinky import names
from kinky.config.section import FREELY, Section, never
from kinky.config.store_kinds import HOST_NAMESPACE
from kinky.config.values import Audience, HttpsAddress, Name, StorePath, Text, within


class VaultServer(Section):
    """The server of a store of kind `vault`: OpenBao, or another one with Vault's API, outside the inner cluster."""

    address: Annotated[HttpsAddress, FREELY]
    """URL of the server as the nodes and the admin reach it, such as https://vault.example:8200."""
    ca_file: Annotated[Text | None, FREELY] = None
    """File with the CA certificates that verify the server's; `null` means the public CAs."""
    namespace: Annotated[StorePath | None, never("the values would stay behind")] = None
    """Namespace on the server; `null` means none."""
    mount: Annotated[StorePath, never("the values would stay behind")] = "secret"
    """Path of the secrets engine, which must be KV version 2."""
    prefix: Annotated[StorePath | None, never("the values would stay behind")] = None
    """Path below the mount that holds this cluster's values and nothing else; `null` means kinky/ and its name."""
    auth_mount: Annotated[StorePath | None, never("the old way to the values would stay open")] = None
    """Path of the auth method of type jwt; one cluster's own. `null` means kinky- and the cluster's name."""
    role: Annotated[Name | None, never("the old way to the values would stay open")] = None
    """Role of that auth method, and the name of its policy; `null` means kinky- and the cluster's name."""
    audience: Annotated[Audience, FREELY] = "openbao"
    """Audience of the tokens that the inner cluster logs in with."""
    token_minutes: Annotated[int, within(2, 60, because="a read needs a token with a minute left"), FREELY] = 10
    """Minutes for which a login is valid; each read of the store makes a new one."""

    def fill(self, cluster: str) -> Self:
        """Return the server with the names that follow from the cluster's."""
        own = names.vault_name(cluster)
        return self.model_copy(
            update={
                "prefix": self.prefix or names.vault_prefix(cluster),
                "auth_mount": self.auth_mount or own,
                "role": self.role or own,
            }
        )


class SecretsStore(Section):
    """Where the inner cluster's secrets come from."""

    kind: Annotated[Literal["hostNamespace", "inCluster", "vault"], never("the values would stay behind")] = (
        HOST_NAMESPACE
    )
    """Secrets of the host namespace, of the inner cluster itself (an ephemeral one only), or of a Vault server."""
    token_hours: Annotated[int, within(1, 168), FREELY] = 168
    """With kind hostNamespace: hours for which the token that reads the store is valid; `pulumi up` renews it."""
    refresh_seconds: Annotated[int, within(5, 86400), FREELY] = 30
    """Seconds after which the inner cluster reads the store again."""
    vault: Annotated[VaultServer | None, FREELY] = None
    """The server, with kind vault; `null` with any other."""
