"""The key by which Secrets are encrypted in the inner etcd: added, made the writing one, all rewritten, old dropped.

Every API server knows the new key before any writes with it, and no Secret needs the old one before it is dropped. An
API server reads its keys at its boot, so each change is followed by a replacement of all control planes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from kinky.errors import HostError
from kinky.keys.certificates import build_fingerprint, parse_time
from kinky.keys.encryption_config import (
    EncryptionKey,
    make_encryption_key,
    parse_encryption_keys,
    render_encryption_config,
)
from kinky.keys.material import ENCRYPTION_FILE, fetch_key_files, fetch_made_at, replace_key_files
from kinky.kube import resources
from kinky.kube.connection import ApiError
from kinky.kube.inner import InnerApi
from kinky.names import ETCD_PREFIXES, FINGERPRINT_LENGTH, KMS, SECRETBOX, pki_secret
from kinky.operations.journal import Journal
from kinky.operations.plan import SubStep
from kinky.operations.replacement import Proof, build_replacements
from kinky.progress import Phase
from kinky.retry import Pending, wait_until
from kinky.rotation.item import Item, KeyState
from kinky.rotation.site import KeySite
from kinky.stores.evidence import parse_config_fingerprint, parse_process, parse_read

NAME = "encryption-key"
REWRITE_LIMIT_SECONDS = 900.0
"""Each Secret is written once and read once; an emulated API server does ten of these in a second."""

_ADD = "add"
_REWRITE = "rewrite"
Change = Callable[[Sequence[EncryptionKey]], Sequence[EncryptionKey]]


def build_steps(site: KeySite, journal: Journal) -> list[SubStep]:
    """Build the sub-steps; each change of the keys is followed by one replacement of every control plane."""
    refuse_kms(site)

    def replaced(round_name: str, title: str) -> list[SubStep]:
        planes = site.control_planes
        proof = Proof(title="has the new keys", ask=lambda inner: _check_loaded(site, inner))
        return build_replacements(site, journal, planes, round_name=round_name, title=title, proof=proof)

    limit = site.scale(REWRITE_LIMIT_SECONDS)
    return [
        SubStep(name=_ADD, title="a new key is on the host, second", run=lambda _: _add(site, journal)),
        *replaced("known", "it reads with the new key too"),
        SubStep(name="first", title="the new key is first", run=lambda _: _make_first(site, journal)),
        *replaced("writes", "it writes with the new key"),
        SubStep(
            name=_REWRITE,
            title="every Secret is written with the new key",
            run=lambda running: _rewrite(site, journal, running),
            limit_seconds=limit,
        ),
        SubStep(
            name="drop",
            title="no Secret needs the old key, which is dropped from the host",
            run=lambda running: _drop(site, journal, running),
            limit_seconds=limit,
        ),
        *replaced("dropped", "it knows the new key alone"),
    ]


def refuse_kms(site: KeySite) -> None:
    """Raise HostError if a KMS encrypts: its key is not KinKy's to change."""
    if site.encryption_provider == KMS:
        raise HostError(
            f"cannot rotate {NAME}: the KMS rotates the key of cluster {site.cluster}; nothing was touched",
            details=[
                "an API server asks the plugin for its key's id each minute, and writes with the new key from then on"
            ],
            hint="rotate it in the KMS, then have every Secret written again; docs/rotation.md tells how",
        )


def _add(site: KeySite, journal: Journal) -> str:
    """Add a key behind the writing one; a key from an unrecorded rotation is used instead."""
    present = parse_encryption_keys(fetch_key_files(site.host, site.cluster)[ENCRYPTION_FILE])
    highest = max(present, key=lambda key: key.number)
    number = highest.number + 1 if len(present) == 1 else highest.number
    new = journal.remember(_ADD, {"new": make_encryption_key(number).name})["new"]

    def add(keys: Sequence[EncryptionKey]) -> Sequence[EncryptionKey]:
        known = any(key.name == new for key in keys)
        return keys if known else [*keys, make_encryption_key(highest.number + 1)]

    return _change(site, add, new_key_of=NAME)


def _make_first(site: KeySite, journal: Journal) -> str:
    """Have the new key write; the sort keeps all others in their order."""
    new = _get_new(journal)
    return _change(site, lambda keys: sorted(keys, key=lambda key: key.name != new))


def _drop(site: KeySite, journal: Journal, running: Phase) -> str:
    """Drop every other key, after counting once more that no Secret was written by one."""
    new = _get_new(journal)
    keys = parse_encryption_keys(fetch_key_files(site.host, site.cluster)[ENCRYPTION_FILE])
    if len(keys) == 1 and keys[0].name == new:
        return f"{new} alone"
    # Counted again now: since the rewrite somebody may have brought an API server with other keys.
    running.note(_prove_rewritten(site, new, running))
    return _change(site, lambda present: [key for key in present if key.name == new])


def _rewrite(site: KeySite, journal: Journal, running: Phase) -> str:
    """Write every Secret again, and prove it; the record holds how many there were."""
    found = _prove_rewritten(site, _get_new(journal), running)
    journal.remember(_REWRITE, {"secrets": found})
    return found


def _prove_rewritten(site: KeySite, new: str, running: Phase) -> str:
    """Write every Secret again and read it back from etcd, until no old key was needed for reading."""

    def check() -> str | Pending:
        inner = site.reach.inner()
        loaded = _check_loaded(site, inner)
        if isinstance(loaded, Pending):
            return loaded
        bodies = [body["metadata"] for body in inner.fetch_all(resources.SECRETS)]
        secrets = [(str(found["namespace"]), str(found["name"])) for found in bodies]
        for namespace, name in secrets:
            _write_again(inner, namespace, name)
        return _count(inner, secrets, new)

    return wait_until(
        check,
        what=f'inner cluster "{site.cluster}": every Secret is written with {new}',
        deadline_seconds=site.scale(REWRITE_LIMIT_SECONDS),
        hint="the old key is not dropped; the same command goes on from here",
        on_change=running.note,
        tolerate=(ApiError,),
    )


def _write_again(inner: InnerApi, namespace: str, name: str) -> None:
    """Have the API server write a Secret as it is: what another key wrote it writes although nothing changed."""
    try:
        inner.patch(resources.SECRETS, name, {}, namespace=namespace)
    except ApiError as error:
        # Somebody has removed it since the list; then nobody needs its key.
        if error.status != 404:
            raise


def _count(inner: InnerApi, secrets: Sequence[tuple[str, str]], new: str) -> str | Pending:
    """Read each Secret from etcd and have the API server tell by which keys it could; the answer that proves it.

    A read of one object without a version never comes from the API server's cache.
    """
    first = inner.fetch_metrics()
    there = [
        name for namespace, name in secrets if inner.fetch(resources.SECRETS, name, namespace=namespace) is not None
    ]
    last = inner.fetch_metrics()
    if not parse_process(first) or parse_process(first) != parse_process(last):
        # A connection that was closed may open on another control plane, whose numbers compare with nothing.
        return Pending("the reads were counted by one API server before and by another after")
    before = parse_read(first)
    grown = {prefix: number - before.get(prefix, 0) for prefix, number in parse_read(last).items()}
    wanted, whole = f"{new}:", ETCD_PREFIXES[SECRETBOX]
    others = {prefix: number for prefix, number in grown.items() if prefix not in (wanted, whole) and number}
    if others:
        return Pending(f"Secrets that another key has written: {_describe(others)}")
    if grown.get(wanted, 0) < len(there):
        # Another API server has answered some of the reads: then this one's count proves nothing.
        return Pending(f"{grown.get(wanted, 0)} of {len(there)} reads were counted")
    return f"{len(there)} Secrets, all read with {new}"


def _check_loaded(site: KeySite, inner: InnerApi) -> str | Pending:
    """Look whether the API server that answers has read exactly the keys that the host holds now."""
    held = build_fingerprint(fetch_key_files(site.host, site.cluster)[ENCRYPTION_FILE])
    loaded = parse_config_fingerprint(inner.fetch_metrics())
    if loaded == held:
        return f"configuration {held[:FINGERPRINT_LENGTH]}"
    seen = loaded[:FINGERPRINT_LENGTH] or "unknown"
    return Pending(f"the API server runs with configuration {seen}, the host holds {held[:FINGERPRINT_LENGTH]}")


def _change(site: KeySite, change: Change, *, new_key_of: str = "") -> str:
    """Change the order or the number of the keys on the host, and tell what is there now."""

    def edit(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
        present = parse_encryption_keys(files[ENCRYPTION_FILE])
        wanted = change(present)
        return files if list(wanted) == list(present) else {**files, ENCRYPTION_FILE: render_encryption_config(wanted)}

    replace_key_files(site.host, site.cluster, edit, new_key_of=new_key_of)
    keys = parse_encryption_keys(fetch_key_files(site.host, site.cluster)[ENCRYPTION_FILE])
    return ", then ".join(f"{key.name} {key.fingerprint}" for key in keys)


def _get_new(journal: Journal) -> str:
    """Return the name of the key that this rotation has added."""
    return (journal.recall(_ADD) or {})["new"]


def _describe(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} by {prefix.rstrip(':') or 'none'}" for prefix, number in sorted(counts.items()))


def find_keys(site: KeySite) -> Iterator[KeyState]:
    """Yield the key that writes; during a rotation the others too, of which only the first one's age is known."""
    refuse_kms(site)
    made_at = fetch_made_at(site.host, site.cluster, NAME)
    keys = parse_encryption_keys(fetch_key_files(site.host, site.cluster)[ENCRYPTION_FILE])
    newest = max(keys, key=lambda key: key.number)
    for key in keys:
        yield KeyState(
            subject=f"{pki_secret(site.cluster)} {key.name}",
            fingerprint=key.fingerprint,
            made_at=parse_time(made_at) if made_at and key == newest else None,
        )


ITEM = Item(
    name=NAME,
    summary="a new key for Secrets in the inner etcd; restarts every control plane three times",
    build_steps=build_steps,
    find_keys=find_keys,
    replaces_control_planes=True,
    rounds=("known/", "writes/", "dropped/"),
)
