"""Kind `inCluster`: Secrets of the inner cluster itself, read with tokens that External Secrets asks for.

The token that External Secrets holds cannot be seen from outside of its pod. So other facts are proved: the store names
only the ServiceAccount, and no token without an end exists for it. A token that KinKy requests as External Secrets
(version 0.20) does expires in time.
"""

from datetime import timedelta

from kinky import names
from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.inner import InnerApi
from kinky.manifests.secrets_store import STORE
from kinky.reach.reach import Reach
from kinky.retry import Pending
from kinky.stores.evidence import LIFE_TOLERANCE, parse_expiry, parse_time_claim
from kinky.stores.secrets import NamespaceStore

TOKEN_SECONDS = 3600
"""The request of External Secrets for a token (pkg/provider/kubernetes/auth.go)."""
LASTING_TYPE = "kubernetes.io/service-account-token"


class InClusterStore(NamespaceStore):
    """A store in a namespace of the inner cluster."""

    def __init__(self, reach: Reach) -> None:
        """Use the store's namespace inside."""
        super().__init__(reach.cluster, connect=reach.inner, namespace=names.NAMESPACE_STORE)

    def check_credential(self, inner: InnerApi) -> str | Pending:
        """Look how long a token lives that is asked for as External Secrets does, and that it needs no other."""
        reader = names.store_reader(self.cluster)
        body = inner.fetch(resources.CLUSTER_SECRET_STORES, STORE) or {}
        provider = ((body.get("spec") or {}).get("provider") or {}).get("kubernetes") or {}
        wanted = {"serviceAccount": {"name": reader, "namespace": self.namespace}}
        if provider.get("auth") != wanted:
            raise HostError(f"ClusterSecretStore {STORE} reads with something else than tokens of {reader}")
        lasting = inner.fetch_all(resources.SECRETS, namespace=self.namespace, fields=f"type={LASTING_TYPE}")
        found = [str(each["metadata"]["name"]) for each in lasting if each.get("type") == LASTING_TYPE]
        if found:
            raise HostError(f"Secret {self.namespace}/{found[0]} holds a token without an end", details=found[1:])
        token, _ = inner.request_token(reader, namespace=self.namespace, seconds=TOKEN_SECONDS)
        begins, expires = parse_time_claim(token.encode(), "iat"), parse_expiry(token.encode())
        if begins is None or expires is None:
            raise HostError(f"the inner API gives ServiceAccount {self.namespace}/{reader} a token without an end")
        if expires - begins > timedelta(seconds=TOKEN_SECONDS) + LIFE_TOLERANCE:
            seconds = (expires - begins).total_seconds()
            raise HostError(f"the inner API gives a token of {seconds:.0f} s where {TOKEN_SECONDS} s were asked for")
        return f"tokens of {(expires - begins).total_seconds():.0f} s, asked for at each read; none without an end"
