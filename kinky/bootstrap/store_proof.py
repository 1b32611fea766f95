"""The proof that the secrets store works: fresh values make the trip from the host into the inner cluster.

A store that calls itself Ready is not proof: its check is one question to the host's API, and an
unknown answer counts as Ready too. So the reason must be Valid, and a nonce must arrive that did
not exist before, then a second one that replaces it (a cache would pass the first).
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from kinky import names
from kinky.bootstrap.certificates import format_time
from kinky.bootstrap.credential import connect_inner
from kinky.bootstrap.forward import ensure_recorded_forward
from kinky.bootstrap.requirements import Requirement, run_requirements
from kinky.bootstrap.secrets_store import put_store_value
from kinky.errors import KinkyError
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import JsonObject
from kinky.kube.inner import InnerApi
from kinky.kube.objects import fetch_condition
from kinky.progress import phase
from kinky.retry import Pending

CANARY = "canary"
NONCE_KEY = "nonce"
FORCE_ANNOTATION = "force-sync"
"""External Secrets reads the store again at each change of an object's annotations."""

STORE_READY = "the secrets store is Ready with reason Valid"
FIRST_TRIP = "a fresh value arrives in the inner cluster"
SECOND_TRIP = "a second value replaces the first"


@dataclass(frozen=True)
class StoreRecord:
    """Proof that the store works."""

    store: str
    first_seconds: float
    second_seconds: float
    """Seconds since the start of the proof at which the value had arrived."""
    proved_at: str


class Canary:
    """One ExternalSecret whose source is written by us and whose target is watched by us."""

    def __init__(self, access: HostAccess, cluster: str, inner: InnerApi, *, name: str, namespace: str) -> None:
        """Use the ExternalSecret of this name."""
        self._access = access
        self._cluster = cluster
        self._inner = inner
        self._name = name
        self._namespace = namespace

    def build_trip(self) -> Callable[[], str | Pending]:
        """Build a check that writes a new nonce at its first call and watches for it at each."""
        sent = ""

        def check() -> str | Pending:
            nonlocal sent
            ensure_recorded_forward(self._cluster, wait_seconds=0)
            if not sent:
                nonce = secrets.token_hex(16)
                put_store_value(self._access, self._cluster, CANARY, {NONCE_KEY: nonce})
                sent = nonce
                self._nudge()
            return self._look(sent)

        return check

    def describe(self) -> list[str]:
        """Describe what the operator of the inner cluster would look at; reading it never fails."""
        try:
            body = self._inner.fetch(resources.EXTERNAL_SECRETS, self._name, namespace=self._namespace)
        except KinkyError as error:
            return [error.message]
        if body is None:
            return [f"ExternalSecret {self._namespace}/{self._name} is not there"]
        return [f"ExternalSecret {self._name}: {_describe_ready(body)}"]

    def _nudge(self) -> None:
        """Have the value read now instead of at the next interval."""
        stamp = {"metadata": {"annotations": {FORCE_ANNOTATION: str(time.time_ns())}}}
        self._inner.patch(resources.EXTERNAL_SECRETS, self._name, stamp, namespace=self._namespace)

    def _look(self, nonce: str) -> str | Pending:
        """Compare the inner Secret with what was sent; neither value is told."""
        values = self._inner.fetch_secret_data(self._name, namespace=self._namespace)
        if values is None:
            return Pending(f"Secret {self._namespace}/{self._name} is not there yet")
        if values.get(NONCE_KEY) == nonce.encode():
            return "arrived"
        return Pending(f"Secret {self._namespace}/{self._name} holds an older value")


def prove_store(
    access: HostAccess,
    cluster: str,
    server: str,
    *,
    store: str,
    limit_seconds: float,
    external_secret: str = CANARY,
    namespace: str = names.NAMESPACE_KINKY,
) -> StoreRecord:
    """Prove that the ClusterSecretStore works: Ready and Valid, then two fresh nonces arrive one after the other.

    Needs an ExternalSecret that reads key `nonce` of the store's value `canary` into an inner
    Secret of the ExternalSecret's own name.
    """
    inner = connect_inner(access, cluster, server)
    canary = Canary(access, cluster, inner, name=external_secret, namespace=namespace)
    hint = f"kubectl describe clustersecretstore {store}; kubectl logs -n {namespace} deploy/external-secrets"
    table = [
        Requirement(description=STORE_READY, check=lambda: _check_store(cluster, inner, store), hint=hint),
        Requirement(description=FIRST_TRIP, check=canary.build_trip(), hint=hint, every_seconds=1.0),
        Requirement(description=SECOND_TRIP, check=canary.build_trip(), hint=hint, every_seconds=1.0),
    ]
    with phase(f"secrets store of {cluster} is proved", limit_seconds=limit_seconds) as running:
        met = run_requirements(cluster, table, limit_seconds=limit_seconds, phase=running, explain=canary.describe)
    return StoreRecord(
        store=store,
        first_seconds=round(met[FIRST_TRIP], 1),
        second_seconds=round(met[SECOND_TRIP], 1),
        proved_at=format_time(datetime.now(UTC)),
    )


def _check_store(cluster: str, inner: InnerApi, store: str) -> str | Pending:
    """Look at the store's own opinion of itself."""
    ensure_recorded_forward(cluster, wait_seconds=0)
    body = inner.fetch(resources.CLUSTER_SECRET_STORES, store)
    if body is None:
        return Pending(f"ClusterSecretStore {store} is not there")
    ready = fetch_condition(body.get("status") or {}, "Ready") or {}
    if ready.get("status") == "True" and ready.get("reason") == "Valid":
        return "Valid"
    return Pending(f"ClusterSecretStore {store}: {_describe_ready(body)}")


def _describe_ready(body: JsonObject) -> str:
    """Describe an object's condition Ready."""
    ready = fetch_condition(body.get("status") or {}, "Ready")
    if ready is None:
        return "no condition Ready yet"
    return f"Ready={ready.get('status')} {ready.get('reason', '')}: {ready.get('message', '')}".rstrip(": ")
