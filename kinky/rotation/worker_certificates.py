"""The workers' kubelet certificates: new ones in the Secret that a worker boots with, then the worker is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from kinky.keys.certificates import build_fingerprint, fetch_signed_at
from kinky.keys.node_credentials import (
    CLIENT_CERTIFICATE,
    fetch_credentials_name,
    fetch_fingerprint,
    replace_node_credentials,
)
from kinky.names import FINGERPRINT_LENGTH
from kinky.operations.journal import Journal
from kinky.operations.plan import SubStep
from kinky.operations.replacement import build_replacements
from kinky.progress import Phase
from kinky.rotation.item import Item, KeyState
from kinky.rotation.site import KeySite


def build_steps(site: KeySite, journal: Journal) -> list[SubStep]:
    """Build the sub-steps: each worker gets its certificates and boots with them before the next one does."""
    steps: list[SubStep] = []
    for worker in site.workers:
        name = f"sign/{worker}"
        steps.append(
            SubStep(
                name=name,
                title=f"new certificates for {worker} are on the host",
                run=partial(_sign, site, journal, name, worker),
            )
        )
        steps += build_replacements(site, journal, [worker], round_name="replace", title="it boots with them")
    return steps


def _sign(site: KeySite, journal: Journal, step: str, worker: str, _running: Phase) -> str:
    """Sign new certificates, unless the Secret holds others than when this was started."""
    secret = fetch_credentials_name(site.host, worker)
    before = journal.remember(step, {"fingerprint": fetch_fingerprint(site.host, secret)})
    found = fetch_fingerprint(site.host, secret)
    if not found or found == before["fingerprint"]:
        replace_node_credentials(site.host, site.cluster, worker, secret_name=secret)
        found = fetch_fingerprint(site.host, secret)
    return f"{secret}: {before['fingerprint'][:FINGERPRINT_LENGTH]} before, {found[:FINGERPRINT_LENGTH]} now"


def find_keys(site: KeySite) -> Iterator[KeyState]:
    """Yield the client certificate of each worker."""
    for worker in site.workers:
        secret = fetch_credentials_name(site.host, worker)
        certificate = (site.host.fetch_secret_here(secret) or {}).get(CLIENT_CERTIFICATE)
        if certificate:
            fingerprint = build_fingerprint(certificate)[:FINGERPRINT_LENGTH]
            yield KeyState(subject=secret, fingerprint=fingerprint, made_at=fetch_signed_at(certificate))


ITEM = Item(
    name="worker-certificates",
    summary="new kubelet certificates; restarts every worker, one at a time",
    build_steps=build_steps,
    find_keys=find_keys,
    rounds=("replace/",),
)
