"""The secrets store: the canary's value inside is the store's own; with `--deep` a new one arrives (P6)."""

from __future__ import annotations

import hmac
from typing import Final

from kinky import names
from kinky.errors import KinkyError, WaitError
from kinky.gate.proof import REPORTED, check_proved
from kinky.kube.connection import ApiError
from kinky.manifests.secrets_store import STORE
from kinky.manifests.store_values import CANARY_KEY, CANARY_VALUE
from kinky.retry import wait_until
from kinky.status.observation import Observation, Side, Watch
from kinky.status.target import Target
from kinky.stores.canary import Canary
from kinky.stores.store import Store

CAPABILITY: Final = "store"
TRIP_SECONDS: Final = 45.0


def look(target: Target) -> list[Observation]:
    """Compare the canary's value inside with the store's, and look at the credential."""
    return _look(target, deep=False)


def look_deep(target: Target) -> list[Observation]:
    """Send a new value and wait for it."""
    return _look(target, deep=True)


def _look(target: Target, *, deep: bool) -> list[Observation]:
    watch = Watch(CAPABILITY, "secrets store")
    hint = f"kinky gate open --stack {target.stack} proves the store; docs/gate.md"
    try:
        if target.store is None:
            return []
        faults = check_proved(target.reach.inner(), STORE, target.store)
        # The report of External Secrets itself belongs to the inside; all else was found by looking.
        own = [fault.sentence for fault in faults if fault.code == REPORTED]
        found = [fault.sentence for fault in faults if fault.code != REPORTED]
        found = found or _find_stale(target, target.store, deep=deep)
    except KinkyError as error:
        return [watch.blind(error)]
    inside = Watch(CAPABILITY, "External Secrets", Side.INSIDE)
    trip = "a new value arrived" if deep else "the canary's value inside is the store's"
    return [
        watch.bad("store", found[0], hint=hint) if found else watch.good(trip),
        inside.bad("not-valid", own[0], hint=hint) if own else inside.good("Valid, and its canary is synced"),
    ]


def _find_stale(target: Target, store: Store, *, deep: bool) -> list[str]:
    """Return why the value inside is not the store's; neither value is told."""
    if not deep:
        wanted = (store.read(CANARY_VALUE) or {}).get(CANARY_KEY)
        inside = target.reach.inner().fetch_secret_data(CANARY_VALUE, namespace=names.NAMESPACE_KINKY)
        seen = (inside or {}).get(CANARY_KEY)
        if wanted is None:
            return ["the store has no canary value"]
        return [] if seen is not None and hmac.compare_digest(seen, wanted) else ["the value inside is not the store's"]
    canary = Canary(store, target.reach, name=CANARY_VALUE, namespace=names.NAMESPACE_KINKY)
    try:
        wait_until(
            canary.build_trip(),
            what="a new value arrives in the inner cluster",
            deadline_seconds=TRIP_SECONDS,
            every_seconds=1.0,
            tolerate=(ApiError,),
        )
    except WaitError as error:
        return ["; ".join([error.message, *error.details])]
    return []
