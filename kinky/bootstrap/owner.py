"""The marker on the host that says which stack owns a cluster name in a namespace."""

from kinky import names
from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi

OWNER_KEY = "stack"


def ensure_owner(access: HostAccess, cluster: str, owner: str) -> None:
    """Mark the cluster as this stack's; raises HostError when it is another's."""
    api = HostApi.connect(access)
    name = names.owner_config_map(cluster)
    body = {"metadata": {"name": name, "labels": names.cluster_labels(cluster)}, "data": {OWNER_KEY: owner}}
    if not api.create(resources.CONFIG_MAPS, body, namespace=api.namespace):
        other = fetch_owner(api, cluster)
        if other != owner:
            raise HostError(
                describe_conflict(api.namespace, cluster, other or "unknown"),
                hint="choose another cluster.name or host.namespace, or destroy the other stack first",
            )


def delete_owner(access: HostAccess, cluster: str, owner: str) -> None:
    """Remove the mark if it is this stack's; another's is left as it is."""
    api = HostApi.connect(access)
    if fetch_owner(api, cluster) == owner:
        api.delete(resources.CONFIG_MAPS, names.owner_config_map(cluster), namespace=api.namespace)


def fetch_owner(api: HostApi, cluster: str) -> str | None:
    """Read whose cluster this is; None when it is nobody's."""
    body = api.fetch_here(resources.CONFIG_MAPS, names.owner_config_map(cluster))
    return None if body is None else str((body.get("data") or {}).get(OWNER_KEY, ""))


def describe_conflict(namespace: str, cluster: str, owner: str) -> str:
    """Describe that a cluster of this name belongs to another stack."""
    return f"namespace {namespace} already holds a cluster {cluster} of another stack: {owner}"
