"""The key that signs tokens of inner ServiceAccounts: published beside the old, then signing; the old goes last.

An API server accepts the tokens of every public key that it has. So all of them get the new public key before any signs
with the new key. They keep the old one as long as its tokens can live. A server outside that verifies the tokens is
told in the same order; when it cannot be told now, nothing is begun.

The kubelet gives a pod another token within an hour only. So KinKy's own pods are made again once all sign with the new
key. Networking and External Secrets go on also if the old key is dropped at once, and the store's proof shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from kinky.errors import HostError, KinkyError
from kinky.findings import Finding, Severity
from kinky.keys.certificates import (
    build_fingerprint,
    build_key_id,
    derive_public_key,
    format_time,
    make_key,
    parse_time,
    split_public_keys,
)
from kinky.keys.material import (
    PUBLIC_KEY_FILE,
    SIGNING_KEY_FILE,
    fetch_key_files,
    fetch_made_at,
    fetch_public_keys,
    replace_key_files,
)
from kinky.kube import resources
from kinky.kube.inner import InnerApi
from kinky.names import FINGERPRINT_LENGTH, NAMESPACE_SYSTEM, NAMESPACES_OF_OURS, pki_secret
from kinky.operations.journal import Journal
from kinky.operations.plan import NotYet, SubStep
from kinky.operations.renewal import build_renewals
from kinky.operations.replacement import LOOK_LIMIT_SECONDS, Proof, build_replacements
from kinky.progress import Phase
from kinky.retry import Pending
from kinky.rotation.item import Item, KeyState
from kinky.rotation.proved_store import build_proof
from kinky.rotation.site import KeySite
from kinky.stores.evidence import parse_key_id
from kinky.stores.store import StoreServer

NAME = "service-account-key"
TOKEN_LIFE = timedelta(days=365)
"""The API server extends the tokens of pods to this, for clients that never read them again (Kubernetes 1.36)."""
NEXT_KEY_FILE = "sa-next.key"
"""Where the new key waits until every API server accepts what it signs; a guest does not use it."""
LASTING_TYPE = "kubernetes.io/service-account-token"
"""Secrets of this type hold tokens without an end."""
PROBE_ACCOUNT = "default"
PROBE_SECONDS = 600
"""The shortest life that an API server gives; the token is let go at once."""

_DROP = "drop"
Files = Mapping[str, bytes]


def build_steps(site: KeySite, journal: Journal) -> list[SubStep]:
    """Build the sub-steps; each change of the keys is followed by one replacement of every control plane."""

    def replaced(round_name: str, title: str, check: Callable[[KeySite, InnerApi], str | Pending]) -> list[SubStep]:
        proof = Proof(title="has the new keys", ask=partial(check, site))
        return build_replacements(site, journal, site.control_planes, round_name=round_name, title=title, proof=proof)

    def told(name: str, title: str) -> list[SubStep]:
        server = site.store.server
        if server is None:
            return []
        run = partial(_tell, site, server)
        return [SubStep(name=name, title=f"the secrets store's server accepts {title}", run=run)]

    return [
        SubStep(name="publish", title="a new public key is on the host, second", run=lambda _: _change(site, _publish)),
        *told("tell", "both keys"),
        *replaced("published", "it accepts both keys", _check_published),
        SubStep(
            name="sign",
            title="the new key is the signing one",
            run=lambda _: _change(site, _sign, new_key_of=NAME),
        ),
        *replaced("signing", "it signs with the new key", _check_signing),
        *build_renewals(
            site,
            journal,
            site.nodes,
            round_name="pods",
            what="a token of the new key",
            namespaces=NAMESPACES_OF_OURS,
        ),
        build_proof(site, name="prove", title="the store works, both keys accepted"),
        SubStep(name=_DROP, title="the old public key is dropped from the host", run=lambda _: _drop(site, journal)),
        *told("tell-alone", "the new key alone"),
        *replaced("dropped", "it accepts the new key alone", _check_published),
        build_proof(site, name="prove-alone", title="the store works with the new key alone"),
    ]


def check(site: KeySite) -> list[Finding]:
    """Find why a server that verifies the cluster's tokens could not be told of a new key; asks, and tells none."""
    server = site.store.server
    try:
        if server is not None:
            server.check_publishing()
    except KinkyError as error:
        reason = "; ".join([error.message, *error.details])
        return [
            Finding(
                code="store.server",
                severity=Severity.CRITICAL,
                subject="the secrets store's server",
                seen=f"cannot be told of a new key: {reason}",
            )
        ]
    return []


def _tell(site: KeySite, server: StoreServer, _running: Phase) -> str:
    """Tell the server the keys that the host holds now."""
    server.publish_keys(fetch_public_keys(site.host, site.cluster))
    return f"keys {_short(_build_key_ids(site))}"


def _publish(files: Files) -> Files:
    """Add a new public key; its private one waits beside, so that a second call finds it and makes no other."""
    if NEXT_KEY_FILE in files:
        return files
    key = make_key()
    return {**files, NEXT_KEY_FILE: key, PUBLIC_KEY_FILE: files[PUBLIC_KEY_FILE] + derive_public_key(key)}


def _sign(files: Files) -> Files:
    """Make the waiting key the signing one, and its public key the first."""
    if NEXT_KEY_FILE not in files:
        return files
    key = files[NEXT_KEY_FILE]
    public = derive_public_key(key)
    older = [other for other in split_public_keys(files[PUBLIC_KEY_FILE]) if other != public]
    kept = {name: content for name, content in files.items() if name != NEXT_KEY_FILE}
    return {**kept, SIGNING_KEY_FILE: key, PUBLIC_KEY_FILE: b"".join([public, *older])}


def _keep_signing(files: Files) -> Files:
    """Drop every public key but the signing one's."""
    return {**files, PUBLIC_KEY_FILE: derive_public_key(files[SIGNING_KEY_FILE])}


def _drop(site: KeySite, journal: Journal) -> str | NotYet:
    """Drop the old key when no token of it can be valid any more, or when the admin wants it now."""
    since = journal.remember(_DROP, {"since": format_time(datetime.now(UTC))})["since"]
    until = parse_time(since) + TOKEN_LIFE
    left = until - datetime.now(UTC)
    if left > timedelta(0) and not site.drop_now:
        return NotYet(
            until=format_time(until),
            why=f"the new key signs since {since}; tokens of the old one are accepted for {_describe(left)} more.\n"
            f"Call it again after {format_time(until)}, or earlier with --drop-now: KinKy's own pods have new tokens,\n"
            "others get one within an hour, and after it only what has kept an older one since its start is refused",
        )
    lasting = [] if site.drop_now else _find_lasting(site)
    if lasting:
        raise HostError(
            f"cannot rotate {NAME}: {len(lasting)} Secrets hold tokens of the old key that never end",
            details=lasting,
            hint="remove those Secrets, or call it with --drop-now, which makes their tokens worthless",
        )
    return _change(site, _keep_signing)


def _find_lasting(site: KeySite) -> list[str]:
    """Find the inner Secrets whose token another key than the present one has signed."""
    current = _build_key_ids(site)[0]
    found: list[str] = []

    def look(inner: InnerApi) -> str:
        found[:] = _list_lasting(inner, current)
        return "looked"

    site.reach.ask("lists its Secrets", look, limit_seconds=site.scale(LOOK_LIMIT_SECONDS))
    return found


def _list_lasting(inner: InnerApi, current: str) -> Iterator[str]:
    for body in inner.fetch_all(resources.SECRETS, fields=f"type={LASTING_TYPE}"):
        data = inner.fetch_secret_data(body["metadata"]["name"], namespace=body["metadata"]["namespace"]) or {}
        if body.get("type") == LASTING_TYPE and parse_key_id(data.get("token", b"")) != current:
            yield f"{body['metadata']['namespace']}/{body['metadata']['name']}"


def _check_published(site: KeySite, inner: InnerApi) -> str | Pending:
    """Look whether the API server that answers accepts exactly the keys that the host holds now."""
    held, seen = set(_build_key_ids(site)), inner.fetch_token_keys()
    if seen == held:
        return f"{len(seen)} public keys"
    return Pending(f"the API server publishes {_short(seen)}, the host holds {_short(held)}")


def _check_signing(site: KeySite, inner: InnerApi) -> str | Pending:
    """Look by which key the API server that answers signs."""
    token, _ = inner.request_token(PROBE_ACCOUNT, namespace=NAMESPACE_SYSTEM, seconds=PROBE_SECONDS)
    seen, wanted = parse_key_id(token.encode()), _build_key_ids(site)[0]
    return f"signs with {seen[:8]}" if seen == wanted else Pending(f"it signs with {seen[:8]}, not with {wanted[:8]}")


def _change(site: KeySite, change: Callable[[Files], Files], *, new_key_of: str = "") -> str:
    """Change the keys on the host and tell which ones are there now, the signing one first."""
    replace_key_files(site.host, site.cluster, change, new_key_of=new_key_of)
    return f"keys {_short(_build_key_ids(site))}"


def _build_key_ids(site: KeySite) -> list[str]:
    """Build the ids, as API servers and tokens name them, of the public keys that the host holds."""
    return [build_key_id(key) for key in fetch_public_keys(site.host, site.cluster)]


def _short(key_ids: list[str] | set[str]) -> str:
    return ", ".join(key_id[:8] for key_id in key_ids) or "none"


def _describe(span: timedelta) -> str:
    return f"{span.days} days" if span.days else f"{span.total_seconds() / 3600:.0f} hours"


def find_keys(site: KeySite) -> Iterator[KeyState]:
    """Yield the public keys that are accepted, the signing one first, of which alone the age is known."""
    made_at = fetch_made_at(site.host, site.cluster, NAME)
    public = split_public_keys(fetch_key_files(site.host, site.cluster)[PUBLIC_KEY_FILE])
    for number, key in enumerate(public):
        yield KeyState(
            subject=f"{pki_secret(site.cluster)} {'accepted' if number else 'signing'}",
            fingerprint=build_fingerprint(key)[:FINGERPRINT_LENGTH],
            made_at=parse_time(made_at) if made_at and not number else None,
        )


ITEM = Item(
    name=NAME,
    summary="a new key for tokens of ServiceAccounts; restarts every control plane twice, later once",
    build_steps=build_steps,
    find_keys=find_keys,
    check=check,
    replaces_control_planes=True,
    can_drop_now=True,
    rounds=("published/", "signing/", "pods/"),
)
