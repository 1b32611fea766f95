"""The CAs that the inner cluster tells its pods and extension servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kinky.keys.certificates import build_fingerprint, split_certificates
from kinky.keys.material import fetch_key_files
from kinky.kube import resources
from kinky.kube.inner import InnerApi
from kinky.names import FINGERPRINT_LENGTH, NAMESPACE_SYSTEM
from kinky.operations.renewal import ROOT_CONFIG_MAP
from kinky.progress import Phase
from kinky.retry import Pending
from kinky.rotation.site import KeySite

EXTENSION_CONFIG_MAP = "extension-apiserver-authentication"
EXTENSION_FILES: Mapping[str, str] = {
    "client-ca-file": "ca.crt",
    "requestheader-client-ca-file": "front-proxy-ca.crt",
}
"""The CAs that servers inside trust for their clients, and the key file of the same content."""
PUBLISH_LIMIT_SECONDS = 600.0
"""Controllers write within seconds of their start, which under emulation comes minutes after the API server's."""


def wait_published(site: KeySite, running: Phase) -> str:
    """Wait until all namespaces and extension servers are told exactly the CAs that the host holds."""

    def look(inner: InnerApi) -> str | Pending:
        found = _check_root(site, inner)
        return found if isinstance(found, Pending) else _check_extension(site, inner) or found

    limit = site.scale(PUBLISH_LIMIT_SECONDS)
    return site.reach.ask("tells its CAs", look, limit_seconds=limit, on_change=running.note)


def _check_root(site: KeySite, inner: InnerApi) -> str | Pending:
    """Look whether each namespace tells its pods exactly the cluster's CAs."""
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
        return Pending(f"{len(other)} of {len(alive)} namespaces are told other CAs: {', '.join(other[:5])}")
    return f"{len(alive)} namespaces are told {_short(wanted)}"


def _check_extension(site: KeySite, inner: InnerApi) -> Pending | None:
    """Look whether extension servers are told exactly the CAs; API servers only ever add one.

    So what tells one too many is deleted, and written again by them within a minute, from what they read at their boot.
    """
    files = fetch_key_files(site.host, site.cluster)
    body = inner.fetch(resources.CONFIG_MAPS, EXTENSION_CONFIG_MAP, namespace=NAMESPACE_SYSTEM)
    told = (body or {}).get("data") or {}
    missing = []
    for key, file in EXTENSION_FILES.items():
        wanted, seen = _fingerprints(files[file]), _fingerprints(str(told.get(key, "")).encode())
        if seen - wanted:
            inner.delete(resources.CONFIG_MAPS, EXTENSION_CONFIG_MAP, namespace=NAMESPACE_SYSTEM)
            return Pending(f"ConfigMap {EXTENSION_CONFIG_MAP} is written again: it told {_short(seen - wanted)} too")
        missing += [key] if wanted - seen else []
    return Pending(f"ConfigMap {EXTENSION_CONFIG_MAP} lacks CAs in {' and '.join(missing)}") if missing else None


def _fingerprints(bundle: bytes) -> set[str]:
    """Return the fingerprints of all certificates in a text."""
    return {build_fingerprint(certificate) for certificate in split_certificates(bundle)}


def _short(fingerprints: Iterable[str]) -> str:
    return " and ".join(sorted(fingerprint[:FINGERPRINT_LENGTH] for fingerprint in fingerprints))
