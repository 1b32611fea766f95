"""Where on a server with Vault's API a cluster's values and rights are: plain values, none of them secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from kinky import names, paths
from kinky.kube.kubeconfig import write_private
from kinky.manifests.addons import external_secrets
from kinky.vault.connection import VaultAccess, VaultApi
from kinky.vault.token import read_token

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig

CA_FILE: Final = "store-ca.crt"


@dataclass(frozen=True, kw_only=True)
class VaultTarget:
    """One cluster's part of a server."""

    cluster: str
    address: str
    ca: str
    """Certificates of the server's CAs (PEM); empty for the public ones."""
    namespace: str
    mount: str
    prefix: str
    auth_mount: str
    role: str
    audience: str
    token_minutes: int
    issuer: str
    """The issuer of the inner cluster's tokens."""
    place: str = ""
    """Short hash of the host's identity and the namespace."""

    @classmethod
    def build(cls, cfg: KinkyConfig, *, ca: str) -> VaultTarget:
        """Build it from a configuration."""
        server = cfg.vault
        return cls(
            cluster=cfg.cluster.name,
            address=server.address,
            ca=ca,
            namespace=server.namespace or "",
            mount=server.mount,
            prefix=str(server.prefix),
            auth_mount=str(server.auth_mount),
            role=str(server.role),
            audience=server.audience,
            token_minutes=server.token_minutes,
            # kubeadm's.
            issuer=f"https://kubernetes.default.svc.{cfg.cluster.domain}",
        )

    @classmethod
    def parse(cls, described: Mapping[str, Any], *, place: str = "") -> VaultTarget:
        """Parse what `describe` described; numbers come back from the engine as floats."""
        return cls(**{**described, "token_minutes": int(described["token_minutes"]), "place": place})

    def describe(self) -> dict[str, Any]:
        """Describe it in plain values, without the place, which is known only once the host is."""
        return {key: value for key, value in asdict(self).items() if key != "place"}

    @property
    def owner(self) -> str:
        """Name of the cluster for the server, where another host or namespace may have a cluster of that name."""
        return f"{self.cluster} {self.place}".strip()

    @property
    def decoy(self) -> str:
        """Path of the value beside the prefix."""
        return names.vault_decoy(self.prefix)

    @property
    def subject(self) -> str:
        """The inner ServiceAccount that may log in."""
        return f"system:serviceaccount:{names.NAMESPACE_KINKY}:{external_secrets.APP}"

    @property
    def policy(self) -> str:
        """The rights of a login: read the values by name, look at itself, end itself; no list, no default policy."""
        return "\n".join(
            f'path "{path}" {{ capabilities = ["{capability}"] }}'
            for path, capability in (
                (f"{self.mount}/data/{self.prefix}/*", "read"),
                ("auth/token/lookup-self", "read"),
                ("auth/token/revoke-self", "update"),
            )
        )

    def open(self) -> VaultApi:
        """Open the server with the admin's own token; raises KinkyError without a token. Sends nothing."""
        return self._open(read_token())

    def open_for_login(self) -> VaultApi:
        """Open the server without a token, as who logs in does. Sends nothing."""
        return self._open("")

    def _open(self, token: str) -> VaultApi:
        file = None
        if self.ca:
            file = paths.stack_dir(self.cluster) / CA_FILE
            write_private(file, self.ca.encode())
        access = VaultAccess(address=self.address, ca=file, namespace=self.namespace, token=token)
        return VaultApi(access)

    def forget(self) -> None:
        """Remove what `open` has written on this machine."""
        (paths.stack_dir(self.cluster) / CA_FILE).unlink(missing_ok=True)
