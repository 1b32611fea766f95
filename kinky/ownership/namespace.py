"""The namespace on the host: made when it is absent, removed only by who made it and when nobody else lives there."""

from kinky import names
from kinky.kube import resources
from kinky.kube.connection import JsonObject, UnavailableError
from kinky.kube.host import HostApi
from kinky.ownership.record import fetch_clusters
from kinky.progress import note
from kinky.retry import Pending, wait_until


def ensure_namespace(api: HostApi, body: JsonObject) -> bool:
    """Make the namespace, and tell whether it is this cluster's: an existing one keeps its owner.

    A run that was interrupted leaves a namespace with the cluster's label, which is then still its own.
    """
    if api.create(resources.NAMESPACES, body):
        return True
    present = api.fetch(resources.NAMESPACES, body["metadata"]["name"]) or {}
    labels = (present.get("metadata") or {}).get("labels") or {}
    return bool(labels.get(names.LABEL_CLUSTER) == body["metadata"]["labels"][names.LABEL_CLUSTER])


def ensure_ground(api: HostApi, body: JsonObject) -> None:
    """Give the cluster's own namespace the label of its accelerator, or take it away; other labels stay."""
    if is_ground_wrong(api, body):
        # A merge patch removes what is null.
        change = {"metadata": {"labels": {names.LABEL_ACCELERATOR: _read_ground(body)}}}
        api.patch(resources.NAMESPACES, body["metadata"]["name"], change)


def is_ground_wrong(api: HostApi, body: JsonObject) -> bool:
    """Tell whether VMs of the namespace would start on another ground than the cluster's; an absent one is not wrong.

    Args:
        body: The namespace as it should be.
    """
    present = api.fetch(resources.NAMESPACES, body["metadata"]["name"])
    return present is not None and _read_ground(present) != _read_ground(body)


def _read_ground(body: JsonObject) -> str | None:
    return (body["metadata"].get("labels") or {}).get(names.LABEL_ACCELERATOR)


def delete_namespace(api: HostApi, *, limit_seconds: float) -> None:
    """Remove the namespace and wait until it is gone; it stays when another cluster lives in it.

    Raises:
        WaitError: something in it did not go in time.
    """
    others = fetch_clusters(api)
    if others:
        note(f"namespace {api.namespace} stays: it holds {', '.join(others)}")
        return
    api.delete(resources.NAMESPACES, api.namespace)

    def check() -> bool | Pending:
        body = api.fetch(resources.NAMESPACES, api.namespace)
        return True if body is None else Pending(describe_remains(body))

    wait_until(
        check,
        what=f"namespace {api.namespace} is gone",
        deadline_seconds=limit_seconds,
        hint=f"kubectl get namespace {api.namespace} -o yaml says what holds it; pulumi destroy goes on from here",
        tolerate=(UnavailableError,),
    )


def describe_remains(body: JsonObject) -> str:
    """Describe why a namespace is still there, in the API's own words."""
    conditions = (body.get("status") or {}).get("conditions") or []
    messages = [str(item.get("message", "")) for item in conditions if item.get("status") == "True"]
    return "; ".join(messages) or "it is being removed"
