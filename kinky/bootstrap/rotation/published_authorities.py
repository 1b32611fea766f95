"""The authorities that the inner cluster tells its pods and extension servers, and pods that have read them at start.

A program inside a pod may read its `ca.crt` once, at its start. So what has to trust a new authority is started after
the cluster has told it: on workers by their replacement, on control planes by a new pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kinky.bootstrap.certificates import build_fingerprint, split_certificates
from kinky.bootstrap.keys import fetch_key_files
from kinky.bootstrap.rotation.journal import Journal
from kinky.bootstrap.rotation.site import Site
from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.inner import InnerApi
from kinky.kube.objects import is_condition_true
from kinky.names import FINGERPRINT_LENGTH, NAMESPACE_SYSTEM
from kinky.progress import Phase
from kinky.retry import Pending

ROOT_CONFIG_MAP = "kube-root-ca.crt"
"""In each namespace what pods get as `ca.crt`; the controller-manager writes it."""
EXTENSION_CONFIG_MAP = "extension-apiserver-authentication"
EXTENSION_FILES: Mapping[str, str] = {
    "client-ca-file": "ca.crt",
    "requestheader-client-ca-file": "front-proxy-ca.crt",
}
"""What extension servers, controller-manager and scheduler believe of clients, and the key file of the same content."""
PUBLISH_LIMIT_SECONDS = 600.0
"""Controllers write within seconds of their start, which under emulation comes minutes after the API server's."""
PODS_LIMIT_SECONDS = 600.0
"""A pod of a control plane is Running again after some seconds, under emulation after a minute."""


def wait_published(site: Site, running: Phase) -> str:
    """Wait until all namespaces and extension servers are told exactly the authorities that the host holds."""

    def look(inner: InnerApi) -> str | Pending:
        found = _check_root(site, inner)
        return found if isinstance(found, Pending) else _check_extension(site, inner) or found

    return site.ask("tells its authorities", look, limit_seconds=PUBLISH_LIMIT_SECONDS, on_change=running.note)


def renew_pods(site: Site, journal: Journal, step: str, node: str, running: Phase) -> str:
    """Replace the pods of a control plane that have read the authorities before, and wait until others run.

    A pod that nothing would bring back is not touched: it is waited for, and named.
    """
    noted: dict[str, str] = {}

    def remember(inner: InnerApi) -> str:
        noted.update({pod["metadata"]["uid"]: _find_maker(pod) for pod in _list_readers(inner, node)})
        return "seen"

    if journal.recall(step) is None:
        site.ask("lists its pods", remember)
    old = journal.remember(step, noted)

    def check(inner: InnerApi) -> str | Pending:
        pods = _list_readers(inner, node)
        left = [pod for pod in pods if pod["metadata"]["uid"] in old]
        for pod in left:
            if _find_maker(pod) and "deletionTimestamp" not in pod["metadata"]:
                inner.delete(resources.PODS, pod["metadata"]["name"], namespace=pod["metadata"]["namespace"])
        alone = [_describe(pod) for pod in left if not _find_maker(pod)]
        if alone:
            return Pending(f"delete these yourself, nothing would make them again: {', '.join(alone)}")
        waiting = [_describe(pod) for pod in pods if pod in left or not _runs(pod)]
        # What another kind has made may come back on another node, which has started after the authorities were told.
        daemons = {maker for maker in old.values() if maker.startswith(f"{resources.DAEMON_SETS.kind} ")}
        waiting += sorted(daemons - {_find_maker(pod) for pod in pods})
        if waiting:
            return Pending(f"{node}: not there again: {', '.join(waiting)}")
        return f"{len(old)} pods of {node} are new"

    return site.ask(f"runs new pods on {node}", check, limit_seconds=PODS_LIMIT_SECONDS, on_change=running.note)


def _check_root(site: Site, inner: InnerApi) -> str | Pending:
    """Look whether each namespace tells its pods exactly the cluster's authorities."""
    wanted = _fingerprints(fetch_key_files(site.host, site.cluster)["ca.crt"])
    bodies = inner.fetch_all(resources.NAMESPACES)
    alive = [body["metadata"]["name"] for body in bodies if "deletionTimestamp" not in body["metadata"]]
    maps = inner.fetch_all(resources.CONFIG_MAPS, fields=f"metadata.name={ROOT_CONFIG_MAP}")
    told = {
        body["metadata"].get("namespace"): _fingerprints(((body.get("data") or {}).get("ca.crt") or "").encode())
        for body in maps
        if body["metadata"]["name"] == ROOT_CONFIG_MAP
    }
    other = [name for name in alive if told.get(name) != wanted]
    if other:
        return Pending(f"{len(other)} of {len(alive)} namespaces are told other authorities: {', '.join(other[:5])}")
    return f"{len(alive)} namespaces are told {_short(wanted)}"


def _check_extension(site: Site, inner: InnerApi) -> Pending | None:
    """Look whether extension servers are told exactly the authorities; API servers only ever add one.

    So what tells one too many is deleted, and written anew by them within a minute, from what they read at their boot.
    """
    files = fetch_key_files(site.host, site.cluster)
    body = inner.fetch(resources.CONFIG_MAPS, EXTENSION_CONFIG_MAP, namespace=NAMESPACE_SYSTEM)
    told = (body or {}).get("data") or {}
    missing = []
    for key, file in EXTENSION_FILES.items():
        wanted, seen = _fingerprints(files[file]), _fingerprints(str(told.get(key, "")).encode())
        if seen - wanted:
            inner.delete(resources.CONFIG_MAPS, EXTENSION_CONFIG_MAP, namespace=NAMESPACE_SYSTEM)
            return Pending(f"ConfigMap {EXTENSION_CONFIG_MAP} is written anew: it told {_short(seen - wanted)} too")
        missing += [key] if wanted - seen else []
    return (
        Pending(f"ConfigMap {EXTENSION_CONFIG_MAP} lacks authorities in {' and '.join(missing)}") if missing else None
    )


def _list_readers(inner: InnerApi, node: str) -> list[JsonObject]:
    """List the pods of a node that have the authorities in a volume; those of the kubelet itself have none."""
    pods = inner.fetch_all(resources.PODS, fields=f"spec.nodeName={node}")
    return [
        pod
        for pod in pods
        if (pod.get("spec") or {}).get("nodeName") == node
        and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        and ROOT_CONFIG_MAP in _list_projected(pod["spec"].get("volumes") or [])
    ]


def _list_projected(volumes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the names of the ConfigMaps in a pod's projected volumes."""
    for volume in volumes:
        for source in (volume.get("projected") or {}).get("sources") or []:
            yield str((source.get("configMap") or {}).get("name", ""))


def _find_maker(pod: JsonObject) -> str:
    """Find what makes a new pod when this one is gone; empty when nothing does."""
    metadata = pod["metadata"]
    owners = [owner for owner in metadata.get("ownerReferences") or [] if owner.get("controller")]
    return next((f"{owner['kind']} {metadata['namespace']}/{owner['name']}" for owner in owners), "")


def _runs(pod: JsonObject) -> bool:
    return is_condition_true(pod.get("status") or {}, "Ready")


def _describe(pod: JsonObject) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _fingerprints(bundle: bytes) -> set[str]:
    """Return the fingerprints of all certificates in a text."""
    return {build_fingerprint(certificate) for certificate in split_certificates(bundle)}


def _short(fingerprints: Iterable[str]) -> str:
    return " and ".join(sorted(fingerprint[:FINGERPRINT_LENGTH] for fingerprint in fingerprints))
