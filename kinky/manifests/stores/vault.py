"""Kind `vault`: a KV engine of a server with Vault's API outside the inner cluster, which knows its public keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kinky import names
from kinky.manifests.addons import external_secrets
from kinky.manifests.body import Body, Late

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig

LOGIN_SECONDS: Final = 600
"""Life of the token that External Secrets logs in with; an API server gives no shorter one."""


def is_inside() -> bool:
    """The values are outside of both clusters."""
    return False


def has_token() -> bool:
    """External Secrets logs in at each read."""
    return False


def has_server() -> bool:
    """The server is told whose tokens it shall take, and what these may read."""
    return True


def remote_key(cfg: KinkyConfig, value: str) -> str:
    """Return the path of the value below the mount."""
    return f"{cfg.vault.prefix}/{value}"


def decoy_key(cfg: KinkyConfig) -> str:
    """Return the path of a value beside the prefix."""
    return names.vault_decoy(cfg.vault.prefix or "")


def build_source(cfg: KinkyConfig) -> tuple[Body, ...]:
    """Nothing beside the values is a Kubernetes object."""
    return ()


def build_rights(cfg: KinkyConfig) -> tuple[Body, ...]:
    """Return the right of External Secrets to ask for tokens of its own ServiceAccount, and of nobody else's."""
    return external_secrets.build_token_right(external_secrets.APP, names.NAMESPACE_KINKY)


def build_provider(cfg: KinkyConfig, *, server: Late, ca_bundle: Late) -> Body:
    """Return the provider that logs in by a token of External Secrets' ServiceAccount, and reads by path."""
    account = {"name": external_secrets.APP, "namespace": names.NAMESPACE_KINKY}
    login = {
        "path": cfg.vault.auth_mount,
        "role": cfg.vault.role,
        "kubernetesServiceAccountToken": {
            "serviceAccountRef": account,
            "audiences": [cfg.vault.audience],
            "expirationSeconds": LOGIN_SECONDS,
        },
    }
    provider: Body = {"server": cfg.vault.address, "path": cfg.vault.mount, "version": "v2", "auth": {"jwt": login}}
    provider |= {"caBundle": ca_bundle} if ca_bundle is not None else {}
    provider |= {"namespace": cfg.vault.namespace} if cfg.vault.namespace else {}
    return {"vault": provider}
