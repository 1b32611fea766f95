"""Kind `hostNamespace`: Secrets on the host, read with a token that is renewed by `up`."""

from kinky.kube.inner import InnerApi
from kinky.reach.reach import Reach
from kinky.retry import Pending
from kinky.stores.evidence import check_token_life
from kinky.stores.secrets import NamespaceStore


class HostNamespaceStore(NamespaceStore):
    """A store in the host's namespace."""

    def __init__(self, reach: Reach, *, token_hours: int) -> None:
        """Use the namespace on the host."""
        super().__init__(reach.cluster, connect=reach.host, namespace=reach.access.namespace)
        self._token_hours = token_hours

    def check_credential(self, inner: InnerApi) -> str | Pending:
        """Look at the expiry of the token that lies in the inner cluster."""
        return check_token_life(inner, hours=self._token_hours)
