"""Kind `hostNamespace`: Secrets on the host, read with a token that is renewed by `up`."""

from kinky.bootstrap.evidence import check_token_life
from kinky.bootstrap.stores.secrets import NamespaceStore
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.retry import Pending


class HostNamespaceStore(NamespaceStore):
    """A store in the host's namespace."""

    def __init__(self, access: HostAccess, cluster: str, *, token_hours: int) -> None:
        """Use the namespace of the access."""
        super().__init__(cluster, connect=lambda: HostApi.connect(access), namespace=access.namespace)
        self._token_hours = token_hours

    def check_credential(self, inner: InnerApi) -> str | Pending:
        """Look at the expiry of the token that lies in the inner cluster."""
        return check_token_life(inner, hours=self._token_hours)
