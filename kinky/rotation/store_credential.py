"""The token that reads the secrets store: a new one beside the old, proved, then the old one ended.

Only a store on the host is read with a lasting token; for any other kind the rotation just proves the store.
"""

from __future__ import annotations

from collections.abc import Iterator

from kinky.names import FINGERPRINT_LENGTH, NAMESPACE_KINKY
from kinky.operations.journal import Journal
from kinky.operations.plan import SubStep
from kinky.progress import Phase
from kinky.rotation.item import Item, KeyState
from kinky.rotation.proved_store import build_proof
from kinky.rotation.site import KeySite
from kinky.stores.evidence import parse_time_claim
from kinky.stores.secrets_store import (
    TOKEN_PLACE,
    TOKEN_SECRET,
    fetch_store_token,
    is_token_anchored,
    issue_store_token,
    revoke_older_tokens,
)

_ISSUE = "issue"


def build_steps(site: KeySite, journal: Journal) -> list[SubStep]:
    """Build the sub-steps; both tokens are valid until the new one is proved."""

    def issue(_running: Phase) -> str:
        present = fetch_store_token(site.reach.inner())
        anchored = str(is_token_anchored(site.reach.inner()))
        before = journal.remember(_ISSUE, {"fingerprint": present.fingerprint if present else "", "anchored": anchored})
        if present is None or present.fingerprint == before["fingerprint"]:
            present = issue_store_token(site.reach, hours=site.token_hours)
        return f"{present.fingerprint[:FINGERPRINT_LENGTH]}, valid until {present.expires_at}"

    def revoke(_running: Phase) -> str:
        ended = revoke_older_tokens(site.host, site.reach.inner(), site.cluster)
        if (journal.recall(_ISSUE) or {}).get("anchored") != "True":
            return f"{ended} ended; the one before was bound to nothing and ends at its own time"
        return f"{ended} ended"

    if not site.store_has_token:
        title = "there is no token to replace: External Secrets asks for a new one at each read"
        return [build_proof(site, name="prove", title=f"{title}; the store works")]
    return [
        SubStep(name=_ISSUE, title="a new token is in the inner cluster", run=issue),
        build_proof(site, name="prove", title="the store works, both tokens valid"),
        SubStep(name="revoke", title="older tokens are ended", run=revoke),
        build_proof(site, name="prove-alone", title="the store works with the new token alone"),
    ]


def find_keys(site: KeySite) -> Iterator[KeyState]:
    """Yield the token that reads the store; without a lasting token, nothing."""
    if not site.store_has_token:
        return
    inner = site.reach.inner()
    token = fetch_store_token(inner)
    data = inner.fetch_secret_data(TOKEN_SECRET, namespace=NAMESPACE_KINKY) or {}
    if token is not None:
        yield KeyState(
            subject=TOKEN_PLACE,
            fingerprint=token.fingerprint[:FINGERPRINT_LENGTH],
            made_at=parse_time_claim(data.get("token", b""), "iat"),
        )


ITEM = Item(
    name="store-credential",
    summary="a new token for External Secrets; the old one is ended; restarts nothing",
    build_steps=build_steps,
    find_keys=find_keys,
    rounds=("prove", "prove-alone"),
)
