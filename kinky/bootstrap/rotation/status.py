"""What keys there are, how old they are, and whether a rotation is half done. Fingerprints only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from kinky.bootstrap.certificates import (
    build_fingerprint,
    fetch_signed_at,
    parse_time,
    split_certificates,
    split_public_keys,
)
from kinky.bootstrap.encryption_config import parse_encryption_keys
from kinky.bootstrap.evidence import parse_time_claim
from kinky.bootstrap.keys import AUTHORITIES, ENCRYPTION_FILE, PUBLIC_KEY_FILE, fetch_key_files, fetch_made_at
from kinky.bootstrap.node_credentials import CLIENT_CERTIFICATE, fetch_credentials_name
from kinky.bootstrap.rotation import (
    certificate_authority,
    encryption_key,
    service_account_key,
    store_credential,
    worker_certificates,
)
from kinky.bootstrap.rotation.journal import Progress, fetch_all_progress
from kinky.bootstrap.rotation.site import Site
from kinky.bootstrap.secrets_store import TOKEN_PLACE, TOKEN_SECRET, fetch_store_token
from kinky.errors import KinkyError
from kinky.manifests import stores
from kinky.names import FINGERPRINT_LENGTH, NAMESPACE_KINKY, pki_secret


@dataclass(frozen=True, kw_only=True)
class KeyState:
    """One key or certificate in use."""

    subject: str
    """Where it is, or whose it is."""
    fingerprint: str
    made_at: datetime | None
    """None when nothing tells."""


@dataclass(frozen=True, kw_only=True)
class ItemStatus:
    """One item that can be rotated."""

    item: str
    keys: tuple[KeyState, ...]
    unknown: str
    """Why the keys cannot be told, or empty."""
    progress: Progress


def fetch_status(site: Site) -> list[ItemStatus]:
    """Fetch the status of each item; what cannot be read now is told as that."""
    progress = fetch_all_progress(site.host, site.cluster)
    return [_look(site, item, look, progress.get(item, Progress())) for item, look in LOOKS.items()]


def _look(site: Site, item: str, look: Callable[[Site], Iterator[KeyState]], progress: Progress) -> ItemStatus:
    try:
        return ItemStatus(item=item, keys=tuple(look(site)), unknown="", progress=progress)
    except KinkyError as error:
        return ItemStatus(item=item, keys=(), unknown=error.message, progress=progress)


def _find_store_credential(site: Site) -> Iterator[KeyState]:
    """Yield the token that reads the store; a store that is read without one that lasts has none."""
    if not stores.of(site.config).has_token():
        return
    inner = site.open_inner()
    token = fetch_store_token(inner)
    data = inner.fetch_secret_data(TOKEN_SECRET, namespace=NAMESPACE_KINKY) or {}
    if token is not None:
        yield KeyState(
            subject=TOKEN_PLACE,
            fingerprint=token.fingerprint[:FINGERPRINT_LENGTH],
            made_at=parse_time_claim(data.get("token", b""), "iat"),
        )


def _find_worker_certificates(site: Site) -> Iterator[KeyState]:
    for worker in site.workers:
        secret = fetch_credentials_name(site.host, worker)
        certificate = (site.host.fetch_secret_here(secret) or {}).get(CLIENT_CERTIFICATE)
        if certificate:
            fingerprint = build_fingerprint(certificate)[:FINGERPRINT_LENGTH]
            yield KeyState(subject=secret, fingerprint=fingerprint, made_at=fetch_signed_at(certificate))


def _find_encryption_keys(site: Site) -> Iterator[KeyState]:
    """Yield the key that writes; during a rotation the others too, of which only the first one's age is known."""
    encryption_key.refuse_kms(site)
    made_at = fetch_made_at(site.host, site.cluster, encryption_key.ITEM)
    keys = parse_encryption_keys(fetch_key_files(site.host, site.cluster)[ENCRYPTION_FILE])
    newest = max(keys, key=lambda key: key.number)
    for key in keys:
        yield KeyState(
            subject=f"{pki_secret(site.cluster)} {key.name}",
            fingerprint=key.fingerprint,
            made_at=parse_time(made_at) if made_at and key == newest else None,
        )


def _find_service_account_keys(site: Site) -> Iterator[KeyState]:
    """Yield the public keys that are accepted, the signing one first, of which alone the age is known."""
    made_at = fetch_made_at(site.host, site.cluster, service_account_key.ITEM)
    public = split_public_keys(fetch_key_files(site.host, site.cluster)[PUBLIC_KEY_FILE])
    for number, key in enumerate(public):
        yield KeyState(
            subject=f"{pki_secret(site.cluster)} {'accepted' if number else 'signing'}",
            fingerprint=build_fingerprint(key)[:FINGERPRINT_LENGTH],
            made_at=parse_time(made_at) if made_at and not number else None,
        )


def _find_authorities(site: Site) -> Iterator[KeyState]:
    """Yield the authorities, of each name the signing one first."""
    files = fetch_key_files(site.host, site.cluster)
    for name in AUTHORITIES:
        for number, certificate in enumerate(split_certificates(files[f"{name}.crt"])):
            yield KeyState(
                subject=f"{pki_secret(site.cluster)} {name} {'trusted' if number else 'signing'}",
                fingerprint=build_fingerprint(certificate)[:FINGERPRINT_LENGTH],
                made_at=fetch_signed_at(certificate),
            )


LOOKS: dict[str, Callable[[Site], Iterator[KeyState]]] = {
    store_credential.ITEM: _find_store_credential,
    worker_certificates.ITEM: _find_worker_certificates,
    encryption_key.ITEM: _find_encryption_keys,
    service_account_key.ITEM: _find_service_account_keys,
    certificate_authority.ITEM: _find_authorities,
}
"""How to look for the keys of each item."""
