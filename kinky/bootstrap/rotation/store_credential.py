"""The token that reads the secrets store: a new one beside the old, proved, then the old one ended.

Only a store on the host is read with a token that lasts; of any other there is none, and the rotation proves the store.
"""

from __future__ import annotations

from kinky.bootstrap.rotation.journal import Journal
from kinky.bootstrap.rotation.plan import SubStep
from kinky.bootstrap.rotation.site import Site
from kinky.bootstrap.secrets_store import fetch_store_token, is_token_anchored, issue_store_token, revoke_older_tokens
from kinky.bootstrap.store_proof import ProofSpec, prove_store
from kinky.manifests import secrets_store, stores
from kinky.names import FINGERPRINT_LENGTH
from kinky.progress import Phase

ITEM = "store-credential"
PROOF_LIMIT_SECONDS = 300.0
"""External Secrets runs already; the gate's own proof, which waits for its start as well, has the double."""

_ISSUE = "issue"


def build_steps(site: Site, journal: Journal) -> list[SubStep]:
    """Build the sub-steps; both tokens are valid until the new one is proved."""

    def issue(_running: Phase) -> str:
        present = fetch_store_token(site.open_inner())
        anchored = str(is_token_anchored(site.open_inner()))
        before = journal.remember(_ISSUE, {"fingerprint": present.fingerprint if present else "", "anchored": anchored})
        if present is None or present.fingerprint == before["fingerprint"]:
            hours = site.config.secrets_store.token_hours
            present = issue_store_token(site.access, site.cluster, site.open_inner(), hours=hours)
        return f"{present.fingerprint[:FINGERPRINT_LENGTH]}, valid until {present.expires_at}"

    def prove(_running: Phase) -> str:
        proof = ProofSpec(
            store=secrets_store.STORE,
            source=site.store,
            probes=secrets_store.build_probes(site.config),
        )
        limit = site.scale(PROOF_LIMIT_SECONDS)
        record = prove_store(site.access, site.cluster, site.open_inner(), proof, limit_seconds=limit)
        return f"{len(record.items)} items of evidence, a value arrives in {record.first_seconds} s"

    def revoke(_running: Phase) -> str:
        ended = revoke_older_tokens(site.host, site.open_inner(), site.cluster)
        if (journal.recall(_ISSUE) or {}).get("anchored") != "True":
            return f"{ended} ended; the one before was bound to nothing and ends at its own time"
        return f"{ended} ended"

    limit = site.scale(PROOF_LIMIT_SECONDS)
    if not stores.of(site.config).has_token():
        title = "there is no token to replace: External Secrets asks for a new one at each read"
        return [SubStep(name="prove", title=f"{title}; the store works", run=prove, limit_seconds=limit)]
    return [
        SubStep(name=_ISSUE, title="a new token is in the inner cluster", run=issue),
        SubStep(name="prove", title="the store works, both tokens valid", run=prove, limit_seconds=limit),
        SubStep(name="revoke", title="older tokens are ended", run=revoke),
        SubStep(name="prove-alone", title="the store works with the new token alone", run=prove, limit_seconds=limit),
    ]
