"""P4: the API takes a write: a ConfigMap is created, read, changed and deleted."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from kinky import names
from kinky.errors import KinkyError
from kinky.keys.certificates import parse_time
from kinky.kube import resources
from kinky.kube.inner import InnerApi
from kinky.status.observation import Observation, Watch
from kinky.status.target import Target

CAPABILITY: Final = "write"
NAME: Final = "kinky-status"
LABELS: Final = {"kinky.dev/status": "write", names.LABEL_MANAGED_BY: names.MANAGED_BY}
LEFT_AFTER: Final = timedelta(minutes=2)
"""A canary that is older is of a look that was killed."""


def look(target: Target) -> list[Observation]:
    """Do the round trip; canaries that a killed look has left are removed first."""
    watch = Watch(CAPABILITY, f"ConfigMap in {names.NAMESPACE_KINKY}")
    try:
        inner = target.reach.inner()
    except KinkyError as error:
        return [watch.blind(error)]
    name = f"{NAME}-{secrets.token_hex(4)}"
    try:
        removed = remove_left(inner)
        told = _do_round_trip(inner, name)
    except KinkyError as error:
        hint = f"kinky status --capability etcd --stack {target.stack}"
        failed = watch.failed(error)
        return [failed if failed.hint else watch.see(failed.state, failed.reason, failed.detail, hint=hint)]
    if told:
        return [watch.bad("lost-write", told, hint=f"kinky status --capability etcd --stack {target.stack}")]
    return [watch.good("created, read, changed, deleted" + (f"; removed {removed} left over" if removed else ""))]


def remove_left(inner: InnerApi) -> int:
    """Remove canaries of looks that were killed; return how many."""
    removed = 0
    selector = ",".join(f"{key}={value}" for key, value in LABELS.items())
    for body in inner.fetch_all(resources.CONFIG_MAPS, namespace=names.NAMESPACE_KINKY, selector=selector):
        made = body["metadata"].get("creationTimestamp")
        if made and datetime.now(UTC) - parse_time(str(made)) < LEFT_AFTER:
            continue
        removed += inner.delete(resources.CONFIG_MAPS, str(body["metadata"]["name"]), namespace=names.NAMESPACE_KINKY)
    return removed


def _do_round_trip(inner: InnerApi, name: str) -> str:
    """Return what was wrong with the round trip; empty when nothing was."""
    kind, where = resources.CONFIG_MAPS, names.NAMESPACE_KINKY
    first, second = secrets.token_hex(8), secrets.token_hex(8)
    if not inner.create(
        kind, {"metadata": {"name": name, "labels": LABELS}, "data": {"written": first}}, namespace=where
    ):
        return "a ConfigMap of a new name is there already"
    try:
        for wanted in (first, second):
            if wanted == second:
                inner.patch(kind, name, {"data": {"written": second}}, namespace=where)
            read = ((inner.fetch(kind, name, namespace=where) or {}).get("data") or {}).get("written")
            if read != wanted:
                return "the API returns another value than was just written"
    finally:
        inner.delete(kind, name, namespace=where)
    return ""
