"""The proof that the secrets store works, which the gate opens on: its seven items are named G1 to G7.

A store that calls itself Ready is not proof. Its check is one question to the store's API, and an unknown answer counts
as Ready too. So the reason must be Valid, and a fresh nonce must arrive. Then a second nonce must replace it, because a
cache would pass the first. The forbidden reads are made at the same time, so that their refusal costs no time of its
own.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kinky import names
from kinky.errors import KinkyError
from kinky.findings import Finding, Severity
from kinky.forming.requirements import Requirement, run_requirements
from kinky.keys.certificates import format_time
from kinky.keys.material import fetch_encryption_provider
from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.inner import InnerApi
from kinky.kube.objects import fetch_condition
from kinky.manifests.store_values import CANARY_KEY, CANARY_VALUE
from kinky.progress import Phase, phase
from kinky.reach.reach import Reach
from kinky.retry import Pending
from kinky.stores.canary import Canary, build_stamp, describe_ready
from kinky.stores.evidence import Refusal, build_encryption_check, make_all
from kinky.stores.store import Store

NUDGE_EVERY_SECONDS = 15.0
"""A store that is not Valid is asked to look again: by itself it waits ever longer after failures, up to 7 minutes."""

METRICS_EVERY_SECONDS = 10.0
"""Metrics are megabytes, and writing them keeps an emulated API server busy."""

EVIDENCE_SECONDS = 120.0
"""The gate opens on what was seen within this time: an age, and no limit of a wait that a slow machine scales."""

STORE_READY = "G1: the secrets store is Ready with reason Valid"
FIRST_TRIP = "G2: a fresh value arrives in the inner cluster"
SECOND_TRIP = "G3: a second value replaces the first"
UNKNOWN_REFUSED = "G4: an unknown key is refused"
DECOY_REFUSED = "G5: what is beside the store is refused"
ENCRYPTED = "G6: the inner API server writes Secrets to etcd encrypted"
CREDENTIAL_EXPIRES = "G7: what the store is read with expires within the allowed time"

REPORTED = "store.reported"
"""Code of a finding that External Secrets reports itself; the others were found by looking."""


@dataclass(frozen=True, kw_only=True)
class ProofSpec:
    """The subject of the proof: the store, and the reads that must be refused."""

    store: str
    """Name of the ClusterSecretStore."""
    source: Store
    probes: Sequence[JsonObject]
    """ExternalSecrets for an unknown key and for the decoy, in this order."""


@dataclass(frozen=True)
class EvidenceItem:
    """One item of the evidence; it holds no value of the store."""

    item: str
    what: str
    seen_at: str


@dataclass(frozen=True)
class StoreRecord:
    """Proof that the store works."""

    store: str
    first_seconds: float
    second_seconds: float
    """Seconds since the start of the proof at which the value had arrived."""
    proved_at: str
    items: tuple[EvidenceItem, ...]

    @classmethod
    def parse(cls, body: JsonObject) -> "StoreRecord":
        """Parse what `asdict` has made of a record; raises KeyError or TypeError for anything else."""
        return cls(**{**body, "items": tuple(EvidenceItem(**item) for item in body["items"])})


def prove_store(
    reach: Reach,
    spec: ProofSpec,
    *,
    limit_seconds: float,
    external_secret: str = CANARY_VALUE,
    namespace: str = names.NAMESPACE_KINKY,
) -> StoreRecord:
    """Prove that the ClusterSecretStore works and gives no more than it shall; leave nothing of the proof behind.

    Needs an ExternalSecret that reads key `nonce` of the store's value `canary` into an inner
    Secret of the ExternalSecret's own name.

    Raises:
        WaitError: an item was not seen in time; it tells which, and what was seen instead.
        KinkyError: an item is refuted.
    """
    canary = Canary(spec.source, reach, name=external_secret, namespace=namespace)
    refusals = [Refusal(reach, body) for body in spec.probes]
    hint = f"kubectl describe clustersecretstore {spec.store}; kubectl logs -n {namespace} deploy/external-secrets"
    provider = fetch_encryption_provider(reach.host(), reach.cluster) or names.SECRETBOX
    prefix = names.ETCD_PREFIXES[provider]
    encrypted = build_encryption_check(reach, canary.name, namespace=canary.namespace, prefix=prefix)

    def build() -> list[Requirement]:
        return _build_table(reach, canary, refusals, spec, hint, encrypted=encrypted)

    started = datetime.now(UTC)
    try:
        with phase(f"secrets store of {reach.cluster} is proved", limit_seconds=limit_seconds) as running:
            met = _gather(reach.cluster, build, limit_seconds=limit_seconds, running=running, explain=canary.describe)
    finally:
        _clean_up(spec.source, refusals)
    return StoreRecord(
        store=spec.store,
        first_seconds=round(met[FIRST_TRIP], 1),
        second_seconds=round(met[SECOND_TRIP], 1),
        proved_at=format_time(datetime.now(UTC)),
        items=_build_items(met, started),
    )


def _gather(
    cluster: str,
    build: Callable[[], list[Requirement]],
    *,
    limit_seconds: float,
    running: Phase,
    explain: Callable[[], Sequence[str]],
) -> dict[str, float]:
    """Wait for all items, and again for those that are too old when the last is seen; return when each was seen last.

    Args:
        build: Builds the requirements again, since a trip that has arrived is over.
    """
    clock = time.monotonic
    begun = clock()
    met: dict[str, float] = {}
    while table := [item for item in build() if not met or _is_old(item.description, met)]:
        since = clock() - begun
        left = max(limit_seconds - since, 1.0)
        seen = run_requirements(cluster, table, limit_seconds=left, phase=running, explain=explain, clock=clock)
        met |= {description: since + seconds for description, seconds in seen.items()}
    return met


def _is_old(item: str, met: Mapping[str, float]) -> bool:
    """Tell whether an item must be seen again; the first trip need not: the second is the same proof, of later."""
    return item != FIRST_TRIP and max(met.values()) - met[item] > EVIDENCE_SECONDS


def _build_table(
    reach: Reach,
    canary: Canary,
    refusals: Sequence[Refusal],
    spec: ProofSpec,
    hint: str,
    *,
    encrypted: Callable[[], str | Pending],
) -> list[Requirement]:
    """Build the requirements G1 to G7, in order."""
    unknown, decoy = refusals
    first_trip = canary.build_trip()
    is_decoy_there = False

    def first() -> str | Pending:
        nonlocal is_decoy_there
        if not is_decoy_there:
            # Before it is asked for: an absent one would be refused too.
            spec.source.write_decoy({CANARY_KEY: secrets.token_hex(16).encode()})
            is_decoy_there = True
        make_all(refusals)
        return first_trip()

    checks: list[tuple[str, Callable[[], str | Pending], float]] = [
        (STORE_READY, _build_store_check(reach, spec.store), 2.0),
        (FIRST_TRIP, first, 1.0),
        (SECOND_TRIP, canary.build_trip(), 1.0),
        (UNKNOWN_REFUSED, unknown.check, 1.0),
        (DECOY_REFUSED, decoy.check, 1.0),
        (ENCRYPTED, encrypted, METRICS_EVERY_SECONDS),
        (CREDENTIAL_EXPIRES, lambda: spec.source.check_credential(reach.inner()), 1.0),
    ]
    return [
        Requirement(description=description, check=check, hint=hint, every_seconds=every)
        for description, check, every in checks
    ]


def _build_items(met: Mapping[str, float], started: datetime) -> tuple[EvidenceItem, ...]:
    """Build the evidence: what was seen, and when."""
    return tuple(
        EvidenceItem(
            item=description.partition(": ")[0],
            what=description.partition(": ")[2],
            seen_at=format_time(started + timedelta(seconds=seconds)),
        )
        for description, seconds in met.items()
    )


def _clean_up(source: Store, refusals: Sequence[Refusal]) -> None:
    """Take away what the proof has made, as far as the APIs answer; the next proof begins with the same."""
    for refusal in refusals:
        with contextlib.suppress(KinkyError):
            refusal.remove()
    with contextlib.suppress(KinkyError):
        source.delete_decoy()


def _build_store_check(reach: Reach, store: str) -> Callable[[], str | Pending]:
    """Build a look at the store's own opinion of itself, which has it formed again now and then."""
    asked = time.monotonic()

    def check() -> str | Pending:
        nonlocal asked
        inner = reach.inner()
        body = inner.fetch(resources.CLUSTER_SECRET_STORES, store)
        if body is None:
            return Pending(f"ClusterSecretStore {store} is not there")
        ready = fetch_condition(body.get("status") or {}, "Ready") or {}
        if ready.get("status") == "True" and ready.get("reason") == "Valid":
            return "Valid"
        if time.monotonic() - asked >= NUDGE_EVERY_SECONDS:
            asked = time.monotonic()
            inner.patch(resources.CLUSTER_SECRET_STORES, store, build_stamp())
        return Pending(f"ClusterSecretStore {store}: {describe_ready(body)}")

    return check


def check_proved(inner: InnerApi, store: str, source: Store) -> list[Finding]:
    """Find what is wrong now with a store that was proved once; the gate stays open all the same.

    The canary is looked at besides the store, which goes on calling itself Valid for minutes after its token has ended.
    """
    watched = (
        (resources.CLUSTER_SECRET_STORES, store, None, "Valid"),
        (resources.EXTERNAL_SECRETS, CANARY_VALUE, names.NAMESPACE_KINKY, "SecretSynced"),
    )
    found = []
    for kind, name, namespace, reason in watched:
        body = inner.fetch(kind, name, namespace=namespace)
        ready = fetch_condition((body or {}).get("status") or {}, "Ready") or {}
        if (ready.get("status"), ready.get("reason")) != ("True", reason):
            told = "is not there" if body is None else f"says {describe_ready(body)}"
            found.append((REPORTED, f"{kind.kind} {name} {told}"))
    try:
        source.check_credential(inner)
    except KinkyError as error:
        found.append(("store.credential", error.message))
    return [
        Finding(
            code=code,
            severity=Severity.CRITICAL,
            subject="the secrets store",
            seen=f"does not work: {reason}",
            hint="pods go on with what was read before",
        )
        for code, reason in found
    ]
