"""The token that reads a store in the host's namespace, and how a pod reaches it.

The token goes from the host's answer straight into the inner Secret; it never passes through Pulumi.
"""

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from kinky import names
from kinky.errors import HostError
from kinky.keys.certificates import format_time, parse_time
from kinky.kube import resources
from kinky.kube.connection import JsonObject, UnavailableError, if_allowed
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.kube.objects import build_secret
from kinky.kube.ownership import ROOT_CA
from kinky.proxies import is_loopback
from kinky.reach.reach import Reach
from kinky.stores.store import build_value_fingerprint

TOKEN_SECRET = "host-store-token"  # noqa: S105 - a name, not a token
TOKEN_PLACE = f"{names.NAMESPACE_KINKY}/{TOKEN_SECRET}"
EXPIRES_ANNOTATION = "kinky.dev/expires-at"
FINGERPRINT_ANNOTATION = "kinky.dev/fingerprint"
READER_ANNOTATION = "kinky.dev/reader-uid"
ANCHOR_ANNOTATION = "kinky.dev/bound-to"
"""Name of the host Secret that the token is bound to; Kubernetes has no other way to end a token before its time."""


class UnreachableHostError(HostError):
    """The host's API has no known URL for pods, or a pod would not trust it there."""


@dataclass(frozen=True)
class StoreServer:
    """How pods of the inner cluster reach the host's API: URL and public CA certificate."""

    url: str
    ca_certificate: str


@dataclass(frozen=True)
class TokenRecord:
    """Where the token is, which it is, and until when it is valid."""

    secret: str
    fingerprint: str
    expires_at: str


def fetch_store_server(api: HostApi) -> StoreServer:
    """Read the URL of the host's API for pods, and the CA certificate that they verify it with.

    Raises:
        UnreachableHostError: No URL for pods is known, or they would not trust it.
    """
    certificate = _fetch_ca(api, api.namespace)
    if not certificate:
        raise HostError(
            f"host cluster: ConfigMap {api.namespace}/kube-root-ca.crt is not there",
            details=["needed to: tell the secrets store how to reach the host"],
            hint="the host's controller-manager makes it in each namespace; look at its log",
        )
    url = fetch_host_url(api)
    if url == api.server:
        # An API that this machine cannot reach may be reachable from a node.
        with contextlib.suppress(UnavailableError):
            _require_trust(api, certificate)
    return StoreServer(url=url, ca_certificate=certificate)


def check_store_server(api: HostApi) -> str:
    """Check, before anything is made, that the host's API has a URL for pods and that they would trust it.

    The admin's machine cannot reach the address of the host's own Service, so its certificate is not checked. The
    host's own pods use this address.

    Returns:
        A warning about the part that could not be checked, or nothing.

    Raises:
        UnreachableHostError: No URL for pods is known, or they would not trust it.
    """
    if fetch_host_url(api) != api.server:
        return ""
    try:
        # The host gives the same bundle to each namespace; the cluster's own may still be missing.
        certificate = _fetch_ca(api, api.namespace) or _fetch_ca(api, "default")
        if certificate:
            _require_trust(api, certificate)
            return ""
        reason = "no ConfigMap kube-root-ca.crt can be read yet"
    except UnavailableError as error:
        reason = error.message
    return f"whether the secrets store's client will trust {api.server} was not checked: {reason}"


def _fetch_ca(api: HostApi, namespace: str) -> str:
    """Fetch the CA bundle that pods verify the host's API with; empty when it is missing or cannot be read."""
    bundle = if_allowed(lambda: api.fetch(resources.CONFIG_MAPS, ROOT_CA, namespace=namespace)) or {}
    return str((bundle.get("data") or {}).get("ca.crt") or "")


def _require_trust(api: HostApi, certificate: str) -> None:
    """Refuse a server that a pod would not trust, such as a proxy in front of the API with another certificate."""
    fault = api.find_certificate_fault(certificate.encode())
    if fault:
        raise UnreachableHostError(
            f"the secrets store cannot trust the host at {api.server}: {fault}, and pods get the CA of ConfigMap"
            " kube-root-ca.crt",
            hint="ask for the right to get Service kubernetes in namespace default, or use a kubeconfig with the API's"
            " own address",
        )


def fetch_host_url(api: HostApi) -> str:
    """Fetch the URL of the host's API for pods: its Service, or without the right to read it the admin's own URL.

    Raises:
        UnreachableHostError: The Service cannot be read, and the admin's own URL leads nowhere from a guest.
    """
    service = if_allowed(lambda: api.fetch(resources.SERVICES, "kubernetes", namespace="default"))
    address = ((service or {}).get("spec") or {}).get("clusterIP")
    if address:
        return f"https://[{address}]:443" if ":" in address else f"https://{address}:443"
    if is_loopback(urlsplit(api.server).hostname or ""):
        raise UnreachableHostError(
            "the secrets store cannot reach the host: no right to get Service kubernetes in namespace default,"
            f" and {api.server} leads nowhere from a node",
            hint="ask for that right, or use a kubeconfig with an address of the host's API that its pods can reach",
        )
    return api.server


def ensure_store_token(reach: Reach, *, hours: int) -> TokenRecord:
    """Put a token of the store's reader into the inner cluster, unless one with half its life left is there.

    Args:
        hours: Life of the token, at most 168; the host may give it a shorter one.
    """
    host, inner, cluster = reach.host(), reach.inner(), reach.cluster
    kept = _fetch_token_notes(inner)
    present = _parse_token(kept)
    usable = kept.get(READER_ANNOTATION) == _fetch_reader_uid(host, cluster) and _is_alive(host, kept)
    if present is not None and usable and not is_token_renewal_due(present.expires_at, hours):
        return present
    # The replaced token stays valid until its time: External Secrets may be reading with it.
    revoke_older_tokens(host, inner, cluster)
    return issue_store_token(reach, hours=hours)


def issue_store_token(reach: Reach, *, hours: int) -> TokenRecord:
    """Put a new token into the inner cluster; the replaced one stays valid until it is revoked."""
    host, cluster = reach.host(), reach.cluster
    reader = _fetch_reader_uid(host, cluster)
    anchor = _make_anchor(host, cluster)
    token, expires = host.request_token(
        names.store_reader(cluster), namespace=host.namespace, seconds=hours * 3600, anchor=anchor
    )
    server_side = fetch_store_server(host)
    record = TokenRecord(TOKEN_PLACE, build_value_fingerprint([token.encode()]), format_time(expires))
    reach.inner().put(
        resources.SECRETS,
        build_secret(
            TOKEN_SECRET,
            {"token": token.encode(), "ca.crt": server_side.ca_certificate.encode()},
            labels={names.LABEL_MANAGED_BY: names.MANAGED_BY},
            annotations={
                EXPIRES_ANNOTATION: record.expires_at,
                FINGERPRINT_ANNOTATION: record.fingerprint,
                READER_ANNOTATION: reader,
                ANCHOR_ANNOTATION: str(anchor["metadata"]["name"]),
            },
        ),
        namespace=names.NAMESPACE_KINKY,
    )
    return record


def fetch_store_token(inner: InnerApi) -> TokenRecord | None:
    """Fetch the facts about the token in use; None without a token."""
    return _parse_token(_fetch_token_notes(inner))


def is_token_anchored(inner: InnerApi) -> bool:
    """Tell whether the token in use can be ended before its time; a token of an earlier kinky cannot."""
    return ANCHOR_ANNOTATION in _fetch_token_notes(inner)


def is_token_alive(host: HostApi, inner: InnerApi) -> bool:
    """Tell whether a token is there and nobody has ended it: what it is bound to is still on the host."""
    return _is_alive(host, _fetch_token_notes(inner))


def revoke_older_tokens(host: HostApi, inner: InnerApi, cluster: str) -> int:
    """End every token of the store's reader but the one in use, as far as they have an anchor; return how many."""
    used = _fetch_token_notes(inner).get(ANCHOR_ANNOTATION)
    selector = f"{names.cluster_selector(cluster)},{names.LABEL_STORE_ANCHOR}=true"
    older = [
        str(body["metadata"]["name"])
        for body in host.fetch_all_here(resources.SECRETS, selector=selector)
        if body["metadata"]["name"] != used
    ]
    for name in older:
        host.delete(resources.SECRETS, name, namespace=host.namespace)
    return len(older)


def is_token_renewal_due(expires_at: str, hours: int) -> bool:
    """Tell whether less than half of the token's life is left."""
    half = timedelta(hours=hours) / 2
    # A little less than half: the host counts the life from before its answer arrives.
    return datetime.now(UTC) + half - timedelta(minutes=1) > parse_time(expires_at)


def _make_anchor(host: HostApi, cluster: str) -> JsonObject:
    """Make the empty Secret that one token is bound to, and return it as the host holds it."""
    name = names.store_token_anchor(cluster, secrets.token_hex(names.HASH_LENGTH))
    labels = names.cluster_labels(cluster) | {names.LABEL_STORE_ANCHOR: "true"}
    host.create(resources.SECRETS, build_secret(name, {}, labels=labels), namespace=host.namespace)
    made = host.fetch_here(resources.SECRETS, name)
    if made is None:
        raise HostError(f"host cluster: Secret {name} was created and is gone again", hint="run the same command again")
    return made


def _fetch_token_notes(inner: InnerApi) -> dict[str, str]:
    """Fetch the annotations of the token in use; none when there is no token."""
    present = inner.fetch(resources.SECRETS, TOKEN_SECRET, namespace=names.NAMESPACE_KINKY)
    return dict(((present or {}).get("metadata") or {}).get("annotations") or {})


def _is_alive(host: HostApi, kept: Mapping[str, str]) -> bool:
    anchor = kept.get(ANCHOR_ANNOTATION)
    # A token that an earlier kinky made is bound to nothing.
    return bool(kept) and (anchor is None or host.fetch_here(resources.SECRETS, anchor) is not None)


def _parse_token(kept: Mapping[str, str]) -> TokenRecord | None:
    """Parse what the annotations tell of a token."""
    expires_at = kept.get(EXPIRES_ANNOTATION, "")
    return TokenRecord(TOKEN_PLACE, kept.get(FINGERPRINT_ANNOTATION, ""), expires_at) if expires_at else None


def _fetch_reader_uid(host: HostApi, cluster: str) -> str:
    """Read the identity of the reader's ServiceAccount: a token of an earlier one of that name is worth nothing."""
    reader = names.store_reader(cluster)
    body = host.fetch_here(resources.SERVICE_ACCOUNTS, reader)
    if body is None:
        raise HostError(
            f"host cluster: ServiceAccount {host.namespace}/{reader} is not there",
            details=["needed to: give the inner cluster a token that reads its secrets store"],
            hint="pulumi up makes it; pulumi refresh if it was deleted by hand",
        )
    return str(body["metadata"].get("uid", ""))
