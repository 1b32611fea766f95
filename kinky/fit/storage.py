"""Whether the host can make the etcd volumes that are not there yet."""

from collections.abc import Sequence

from kinky.config.model import KinkyConfig
from kinky.fit.launcher import GIB
from kinky.kube import resources
from kinky.kube.connection import JsonObject, if_allowed
from kinky.kube.host import HostApi
from kinky.kube.quantities import parse_quantity

DEFAULT_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
NO_PROVISIONER = "kubernetes.io/no-provisioner"


def find_class(cfg: KinkyConfig, classes: Sequence[JsonObject] | None) -> str:
    """Find the StorageClass that the etcd volumes get; empty when it does not exist or is not known."""
    if cfg.control_plane.etcd_storage_class:
        return cfg.control_plane.etcd_storage_class
    defaults = [body["metadata"] for body in classes or [] if _is_default(body)]
    # Of several defaults the API takes the newest; if these are equally old, the first by name.
    defaults.sort(key=lambda metadata: str(metadata["name"]))
    defaults.sort(key=lambda metadata: str(metadata.get("creationTimestamp") or ""), reverse=True)
    return str(defaults[0]["name"]) if defaults else ""


def check_storage(
    api: HostApi, cfg: KinkyConfig, classes: Sequence[JsonObject], gib: Sequence[int]
) -> tuple[list[str], list[str]]:
    """Check whether the host can provide volumes of these sizes; returns problems and warnings."""
    if not gib:
        return [], []
    name = find_class(cfg, classes)
    found = next((body for body in classes if body["metadata"]["name"] == name), None)
    if found is not None and found.get("provisioner") != NO_PROVISIONER:
        return [], []
    text = _describe(cfg, classes, name, found)
    # Somebody may have made volumes by hand; a claim finds them by the class's name, even if no such class exists.
    volumes = if_allowed(lambda: api.fetch_all(resources.PERSISTENT_VOLUMES))
    if volumes is None:
        return [], [f"{text}; your rights do not let you see whether there are volumes made by hand"]
    size = max(gib)
    free = sum(_find_free_gib(body, name) >= size for body in volumes)
    if free >= len(gib):
        return [], []
    return [f"{text}; free volumes made by hand with {size} GiB: {free}, needed: {len(gib)}"], []


def _describe(cfg: KinkyConfig, classes: Sequence[JsonObject], name: str, found: JsonObject | None) -> str:
    """Describe why the host makes no volume for a claim."""
    there = ", ".join(sorted(str(body["metadata"]["name"]) for body in classes)) or "none"
    if found is not None:
        return f"StorageClass {name} makes no volumes ({NO_PROVISIONER})"
    if cfg.control_plane.etcd_storage_class:
        return f"controlPlane.etcdStorageClass = {name}: there is no such StorageClass; there are: {there}"
    return f"no StorageClass is the default, and controlPlane.etcdStorageClass names none; there are: {there}"


def _find_free_gib(body: JsonObject, storage_class: str) -> int:
    """Find the size of a volume that a claim of this class can take; 0 when it cannot."""
    spec = body.get("spec") or {}
    free = (body.get("status") or {}).get("phase") == "Available" and not spec.get("claimRef")
    fits = (spec.get("storageClassName") or "") == storage_class and "ReadWriteOnce" in (spec.get("accessModes") or [])
    size = str((spec.get("capacity") or {}).get("storage", "0"))
    return int(parse_quantity(size) / GIB) if free and fits else 0


def _is_default(body: JsonObject) -> bool:
    annotations = body["metadata"].get("annotations") or {}
    return any(annotations.get(key) == "true" for key in DEFAULT_ANNOTATIONS)
