"""Objects of the cluster that Pulumi does not know: made by a run that was interrupted, or by other commands."""

from collections.abc import Sequence

from kinky import names
from kinky.kube import resources
from kinky.kube.host import HostApi
from kinky.progress import note

KINDS = (
    resources.VIRTUAL_MACHINES,
    resources.SERVICES,
    resources.SECRETS,
    resources.CONFIG_MAPS,
    resources.PVCS,
    resources.ROLE_BINDINGS,
    resources.ROLES,
    resources.SERVICE_ACCOUNTS,
    resources.NETWORK_POLICIES,
)
"""Kinds that KinKy itself creates; objects that KubeVirt and the host derive from these go with them."""


def delete_orphans(api: HostApi, *, ignore: Sequence[str] = ()) -> list[str]:
    """Ask for the deletion of what carries the cluster's labels, and return it as `Kind/name`.

    Call it when Pulumi has deleted every object that it knows. `ignore` names objects that stay, in the same form.
    """
    found = []
    for kind in KINDS:
        for body in api.fetch_all_here(kind, selector=names.cluster_selector(api.access.cluster)):
            label = f"{kind.kind}/{body['metadata']['name']}"
            if label in ignore or body["metadata"].get("deletionTimestamp"):
                continue
            if api.delete(kind, body["metadata"]["name"], namespace=api.namespace):
                found.append(label)
    if found:
        note(f"removing what is not in Pulumi's state: {', '.join(found)}")
    return found
