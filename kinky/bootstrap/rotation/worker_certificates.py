"""The workers' kubelet certificates: new ones in the Secret that a worker boots with, then the worker is replaced."""

from __future__ import annotations

from functools import partial

from kinky.bootstrap.node_credentials import fetch_credentials_name, fetch_fingerprint, replace_node_credentials
from kinky.bootstrap.rotation.journal import Journal
from kinky.bootstrap.rotation.plan import SubStep
from kinky.bootstrap.rotation.replacement import build_replacements
from kinky.bootstrap.rotation.site import Site
from kinky.names import FINGERPRINT_LENGTH
from kinky.progress import Phase

ITEM = "worker-certificates"


def build_steps(site: Site, journal: Journal) -> list[SubStep]:
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


def _sign(site: Site, journal: Journal, step: str, worker: str, _running: Phase) -> str:
    """Sign new certificates, unless the Secret holds others than when this was started."""
    secret = fetch_credentials_name(site.host, worker)
    before = journal.remember(step, {"fingerprint": fetch_fingerprint(site.host, secret)})
    found = fetch_fingerprint(site.host, secret)
    if not found or found == before["fingerprint"]:
        replace_node_credentials(site.host, site.cluster, worker, secret_name=secret)
        found = fetch_fingerprint(site.host, secret)
    return f"{secret}: {before['fingerprint'][:FINGERPRINT_LENGTH]} before, {found[:FINGERPRINT_LENGTH]} now"
