"""The canary of the secrets store: a value of ours whose way into the inner cluster is watched."""

import secrets
import time
from collections.abc import Callable

from kinky.errors import KinkyError
from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.objects import fetch_condition
from kinky.manifests.store_values import CANARY_KEY, CANARY_VALUE
from kinky.reach.reach import Reach
from kinky.retry import Pending
from kinky.stores.store import Store

FORCE_ANNOTATION = "force-sync"
"""External Secrets reads the store again at each change of an object's annotations."""


class Canary:
    """One ExternalSecret whose source is written by us and whose target is watched by us."""

    def __init__(self, source: Store, reach: Reach, *, name: str, namespace: str) -> None:
        """Use the ExternalSecret of this name."""
        self._source = source
        self._reach = reach
        self.name = name
        self.namespace = namespace

    def build_trip(self) -> Callable[[], str | Pending]:
        """Build a check that writes a new nonce at its first call and watches for it at each."""
        sent = ""

        def check() -> str | Pending:
            nonlocal sent
            if not sent:
                nonce = secrets.token_hex(16)
                self._source.write(CANARY_VALUE, {CANARY_KEY: nonce.encode()})
                sent = nonce
                self._nudge()
            return self._look(sent)

        return check

    def describe(self) -> list[str]:
        """Describe what the admin of the inner cluster would look at; reading it never fails."""
        try:
            body = self._reach.inner().fetch(resources.EXTERNAL_SECRETS, self.name, namespace=self.namespace)
        except KinkyError as error:
            return [error.message]
        if body is None:
            return [f"ExternalSecret {self.namespace}/{self.name} is not there"]
        return [f"ExternalSecret {self.name}: {describe_ready(body)}"]

    def _nudge(self) -> None:
        """Have the value read now instead of at the next interval."""
        self._reach.inner().patch(resources.EXTERNAL_SECRETS, self.name, build_stamp(), namespace=self.namespace)

    def _look(self, nonce: str) -> str | Pending:
        """Compare the inner Secret with what was sent; neither value is told."""
        values = self._reach.inner().fetch_secret_data(self.name, namespace=self.namespace)
        if values is None:
            return Pending(f"Secret {self.namespace}/{self.name} is not there yet")
        if values.get(CANARY_KEY) == nonce.encode():
            return "arrived"
        return Pending(f"Secret {self.namespace}/{self.name} holds an older value")


def describe_ready(body: JsonObject) -> str:
    """Describe an object's condition Ready."""
    ready = fetch_condition(body.get("status") or {}, "Ready")
    if ready is None:
        return "no condition Ready yet"
    return f"Ready={ready.get('status')} {ready.get('reason', '')}: {ready.get('message', '')}".rstrip(": ")


def build_stamp() -> JsonObject:
    """Build a patch that has External Secrets look at an object now."""
    return {"metadata": {"annotations": {FORCE_ANNOTATION: str(time.time_ns())}}}
