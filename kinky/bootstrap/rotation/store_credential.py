"""The token that reads the secrets store: a new one beside the old, proved, then the old one ended.

Only a store on the host is read with a token that lasts; of any other there is none, and the rotation proves the store.
"""

from __future__ import annotations

from kinky.bootstrap.rotation.journal import Journal
from kinky.bootstrap.rotation.plan import SubStep
from kinky.bootstrap.rotation.proved_store import build_proof
from kinky.bootstrap.rotation.site import Site
from kinky.bootstrap.secrets_store import fetch_store_token, is_token_anchored, issue_store_token, revoke_older_tokens
from kinky.manifests import stores
from kinky.names import FINGERPRINT_LENGTH
from kinky.progress import Phase

ITEM = "store-credential"
_ISSUE = "issue"


def build_steps(site: Site, journal: Journal) -> list[SubStep]:
    """Build the sub-steps; both tokens are valid until the new one is proved."""

    def issue(_running: Phase) -> str:
        present = fetch_store_token(site.open_inner())
        anchored = str(is_token_anchored(site.open_inner()))
        before = journal.remember(_ISSUE, {"fingerprint": present.fingerprint if present else "", "anchored": anchored})
        if present is None or present.fingerprint == before["fingerprint"]:
            hours = site.config.secrets_store.token_hours
            present = issue_store_token(site.reach, hours=hours)
        return f"{present.fingerprint[:FINGERPRINT_LENGTH]}, valid until {present.expires_at}"

    def revoke(_running: Phase) -> str:
        ended = revoke_older_tokens(site.host, site.open_inner(), site.cluster)
        if (journal.recall(_ISSUE) or {}).get("anchored") != "True":
            return f"{ended} ended; the one before was bound to nothing and ends at its own time"
        return f"{ended} ended"

    if not stores.of(site.config).has_token():
        title = "there is no token to replace: External Secrets asks for a new one at each read"
        return [build_proof(site, name="prove", title=f"{title}; the store works")]
    return [
        SubStep(name=_ISSUE, title="a new token is in the inner cluster", run=issue),
        build_proof(site, name="prove", title="the store works, both tokens valid"),
        SubStep(name="revoke", title="older tokens are ended", run=revoke),
        build_proof(site, name="prove-alone", title="the store works with the new token alone"),
    ]
