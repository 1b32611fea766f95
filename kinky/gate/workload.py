"""The proof that a workload of the inner cluster answers from outside, with a secret from the store.

The question goes the admin's way: published endpoint, inner API, Service, pod. So one answer proves the pod network,
the Service and the store at once, and needs no port of a node to be reachable.
"""

import hashlib
from dataclasses import dataclass
from time import monotonic

from kinky import names
from kinky.errors import HostError
from kinky.kube.inner import InnerApi
from kinky.progress import phase
from kinky.reach.reach import Reach
from kinky.retry import Pending
from kinky.stores.store import Store

SERVICE = "web"
PORT_NAME = "http"


@dataclass(frozen=True, kw_only=True)
class WorkloadRecord:
    """The answer of the workload."""

    node: str
    secret_fingerprint: str
    """SHA-256 of the secret that the workload read: the same as the store's."""
    seconds: float


def prove_workload(
    reach: Reach,
    *,
    store: Store,
    greeting: str,
    value: str,
    key: str,
    limit_seconds: float,
) -> WorkloadRecord:
    """Wait until the workload answers with this greeting and the store's secret; raises WaitError if it does not.

    Args:
        value: Name of the store's value that the workload reads, with the key in it.
    """
    started = monotonic()
    fingerprint = fetch_fingerprint(store, value, key=key)

    def check(inner: InnerApi) -> dict[str, str] | Pending:
        page = inner.fetch_service_page(names.NAMESPACE_WORKLOAD, SERVICE, port=PORT_NAME)
        return check_answer(page, greeting=greeting, fingerprint=fingerprint)

    with phase("workload answers from outside", limit_seconds=limit_seconds) as running:
        answer = reach.ask(
            f"the workload {names.NAMESPACE_WORKLOAD}/{SERVICE} answers with the store's secret",
            check,
            limit_seconds=limit_seconds,
            hint=f"kubectl get pods,externalsecrets -n {names.NAMESPACE_WORKLOAD}; pulumi up tries again",
            on_change=running.note,
        )
    seconds = round(monotonic() - started, 1)
    return WorkloadRecord(node=answer["node"], secret_fingerprint=answer["secret"], seconds=seconds)


def fetch_fingerprint(store: Store, value: str, *, key: str) -> str:
    """Fetch a value of the store and return its SHA-256, which is all that leaves this function."""
    found = (store.read(value) or {}).get(key)
    if found is None:
        raise HostError(
            f"secrets store: {store.describe(value)} has no key {key}",
            details=["needed to: compare it with what the workload read"],
            hint="pulumi refresh, then pulumi up makes it again",
        )
    return hashlib.sha256(found).hexdigest()


def check_answer(page: str, *, greeting: str, fingerprint: str) -> dict[str, str] | Pending:
    """Return what the page says, or what is still wrong with it."""
    # Not splitlines: it would split a greeting at characters such as U+2028.
    said = dict(line.partition("=")[::2] for line in page.split("\n"))
    if said.get("greeting") != greeting:
        return Pending(f"it answers with the greeting {said.get('greeting', '')!r}, not {greeting!r}")
    if said.get("secret") != fingerprint:
        return Pending("its secret is not the store's")
    return {"node": said.get("node", ""), "secret": fingerprint}
