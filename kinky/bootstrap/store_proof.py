"""The proof that the secrets store works, which the gate opens on: its seven items are named G1 to G7.

A store that calls itself Ready is not proof: its check is one question to the store's API, and an
unknown answer counts as Ready too. So the reason must be Valid, and a nonce must arrive that did
not exist before, then a second one that replaces it (a cache would pass the first). What must not
arrive is asked for at the same time, so that its refusal costs no time of its own.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kinky import names
from kinky.bootstrap.certificates import format_time
from kinky.bootstrap.evidence import Refusal, build_encryption_check, make_all
from kinky.bootstrap.forward import ensure_recorded_forward
from kinky.bootstrap.keys import fetch_encryption_provider
from kinky.bootstrap.requirements import Requirement, run_requirements
from kinky.bootstrap.stores.store import Store
from kinky.errors import KinkyError
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import JsonObject
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.kube.objects import fetch_condition
from kinky.manifests.store_values import CANARY_KEY, CANARY_VALUE
from kinky.progress import phase
from kinky.retry import Pending

FORCE_ANNOTATION = "force-sync"
"""External Secrets reads the store again at each change of an object's annotations."""

NUDGE_EVERY_SECONDS = 15.0
"""A store that is not Valid is asked to look again: by itself it waits ever longer after failures, up to 7 minutes."""

METRICS_EVERY_SECONDS = 10.0
"""Metrics are megabytes, and writing them keeps an emulated API server busy."""

STORE_READY = "G1: the secrets store is Ready with reason Valid"
FIRST_TRIP = "G2: a fresh value arrives in the inner cluster"
SECOND_TRIP = "G3: a second value replaces the first"
UNKNOWN_REFUSED = "G4: an unknown key is refused"
DECOY_REFUSED = "G5: what is beside the store is refused"
ENCRYPTED = "G6: the inner API server writes Secrets to etcd encrypted"
CREDENTIAL_EXPIRES = "G7: what the store is read with expires within the allowed time"


@dataclass(frozen=True, kw_only=True)
class ProofSpec:
    """What is proved: the store, and what must be refused."""

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


class Canary:
    """One ExternalSecret whose source is written by us and whose target is watched by us."""

    def __init__(self, source: Store, cluster: str, inner: InnerApi, *, name: str, namespace: str) -> None:
        """Use the ExternalSecret of this name."""
        self._source = source
        self._cluster = cluster
        self._inner = inner
        self.name = name
        self.namespace = namespace

    def build_trip(self) -> Callable[[], str | Pending]:
        """Build a check that writes a new nonce at its first call and watches for it at each."""
        sent = ""

        def check() -> str | Pending:
            nonlocal sent
            ensure_recorded_forward(self._cluster, wait_seconds=0)
            if not sent:
                nonce = secrets.token_hex(16)
                self._source.write(CANARY_VALUE, {CANARY_KEY: nonce.encode()})
                sent = nonce
                self._nudge()
            return self._look(sent)

        return check

    def describe(self) -> list[str]:
        """Describe what the operator of the inner cluster would look at; reading it never fails."""
        try:
            body = self._inner.fetch(resources.EXTERNAL_SECRETS, self.name, namespace=self.namespace)
        except KinkyError as error:
            return [error.message]
        if body is None:
            return [f"ExternalSecret {self.namespace}/{self.name} is not there"]
        return [f"ExternalSecret {self.name}: {describe_ready(body)}"]

    def _nudge(self) -> None:
        """Have the value read now instead of at the next interval."""
        self._inner.patch(resources.EXTERNAL_SECRETS, self.name, _stamp(), namespace=self.namespace)

    def _look(self, nonce: str) -> str | Pending:
        """Compare the inner Secret with what was sent; neither value is told."""
        values = self._inner.fetch_secret_data(self.name, namespace=self.namespace)
        if values is None:
            return Pending(f"Secret {self.namespace}/{self.name} is not there yet")
        if values.get(CANARY_KEY) == nonce.encode():
            return "arrived"
        return Pending(f"Secret {self.namespace}/{self.name} holds an older value")


def prove_store(
    access: HostAccess,
    cluster: str,
    inner: InnerApi,
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
    canary = Canary(spec.source, cluster, inner, name=external_secret, namespace=namespace)
    refusals = [Refusal(inner, body) for body in spec.probes]
    hint = f"kubectl describe clustersecretstore {spec.store}; kubectl logs -n {namespace} deploy/external-secrets"
    provider = fetch_encryption_provider(HostApi.connect(access), cluster) or names.SECRETBOX
    prefix = names.ETCD_PREFIXES[provider]
    encrypted = build_encryption_check(inner, canary.name, namespace=canary.namespace, prefix=prefix)
    table = _build_table(cluster, inner, canary, refusals, spec, hint, encrypted=encrypted)
    started = datetime.now(UTC)
    try:
        spec.source.write_decoy({CANARY_KEY: secrets.token_hex(16).encode()})
        with phase(f"secrets store of {cluster} is proved", limit_seconds=limit_seconds) as running:
            met = run_requirements(cluster, table, limit_seconds=limit_seconds, phase=running, explain=canary.describe)
    finally:
        _clean_up(spec.source, refusals)
    return StoreRecord(
        store=spec.store,
        first_seconds=round(met[FIRST_TRIP], 1),
        second_seconds=round(met[SECOND_TRIP], 1),
        proved_at=format_time(datetime.now(UTC)),
        items=_build_items(met, started),
    )


def _build_table(
    cluster: str,
    inner: InnerApi,
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

    def first() -> str | Pending:
        make_all(refusals)
        return first_trip()

    checks: list[tuple[str, Callable[[], str | Pending], float]] = [
        (STORE_READY, _build_store_check(cluster, inner, spec.store), 2.0),
        (FIRST_TRIP, first, 1.0),
        (SECOND_TRIP, canary.build_trip(), 1.0),
        (UNKNOWN_REFUSED, unknown.check, 1.0),
        (DECOY_REFUSED, decoy.check, 1.0),
        (ENCRYPTED, encrypted, METRICS_EVERY_SECONDS),
        (CREDENTIAL_EXPIRES, lambda: spec.source.check_credential(inner), 1.0),
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


def _build_store_check(cluster: str, inner: InnerApi, store: str) -> Callable[[], str | Pending]:
    """Build a look at the store's own opinion of itself, which has it formed anew now and then."""
    asked = time.monotonic()

    def check() -> str | Pending:
        nonlocal asked
        ensure_recorded_forward(cluster, wait_seconds=0)
        body = inner.fetch(resources.CLUSTER_SECRET_STORES, store)
        if body is None:
            return Pending(f"ClusterSecretStore {store} is not there")
        ready = fetch_condition(body.get("status") or {}, "Ready") or {}
        if ready.get("status") == "True" and ready.get("reason") == "Valid":
            return "Valid"
        if time.monotonic() - asked >= NUDGE_EVERY_SECONDS:
            asked = time.monotonic()
            inner.patch(resources.CLUSTER_SECRET_STORES, store, _stamp())
        return Pending(f"ClusterSecretStore {store}: {describe_ready(body)}")

    return check


def fetch_store_faults(inner: InnerApi, store: str, source: Store) -> list[str]:
    """Return what is wrong now with a store that was proved once, each as a sentence; the gate stays open all the same.

    The canary is looked at besides the store, which goes on calling itself Valid for minutes after its token has ended.
    """
    watched = (
        (resources.CLUSTER_SECRET_STORES, store, None, "Valid"),
        (resources.EXTERNAL_SECRETS, CANARY_VALUE, names.NAMESPACE_KINKY, "SecretSynced"),
    )
    faults = []
    for kind, name, namespace, reason in watched:
        body = inner.fetch(kind, name, namespace=namespace)
        ready = fetch_condition((body or {}).get("status") or {}, "Ready") or {}
        if (ready.get("status"), ready.get("reason")) != ("True", reason):
            faults.append(f"{kind.kind} {name} {'is not there' if body is None else 'says ' + describe_ready(body)}")
    try:
        source.check_credential(inner)
    except KinkyError as error:
        faults.append(error.message)
    return faults


def describe_ready(body: JsonObject) -> str:
    """Describe an object's condition Ready."""
    ready = fetch_condition(body.get("status") or {}, "Ready")
    if ready is None:
        return "no condition Ready yet"
    return f"Ready={ready.get('status')} {ready.get('reason', '')}: {ready.get('message', '')}".rstrip(": ")


def _stamp() -> JsonObject:
    """Build a patch that has External Secrets look at an object now."""
    return {"metadata": {"annotations": {FORCE_ANNOTATION: str(time.time_ns())}}}
