"""The parts of the gate's evidence that are not a trip of a value: refusals, encryption at rest, the credential's life.

G6 is proved by the API server's own count of what it wrote encrypted. The raw value in etcd is not read: that needs a
program beside etcd, or a way to etcd's port, and there is neither.
"""

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from kinky import names
from kinky.errors import HostError
from kinky.keys.certificates import CLOCK_TOLERANCE
from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.inner import InnerApi
from kinky.kube.objects import fetch_condition
from kinky.reach.reach import Reach
from kinky.retry import Pending
from kinky.stores.secrets_store import TOKEN_SECRET

PLAIN_PREFIXES = ("", "identity")
WRITTEN_ANNOTATION = "kinky.dev/written-at"
LIFE_TOLERANCE = CLOCK_TOLERANCE
"""A token may seem to live this much longer, as the two machines' clocks may differ."""

_COUNTER = re.compile(r"^apiserver_storage_transformation_operations_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$")
_CONFIG = re.compile(
    r'^apiserver_encryption_config_controller_last_config_info\{[^}]*\bhash="sha256:(?P<hash>[0-9a-f]+)"', re.MULTILINE
)
_START = re.compile(r"^process_start_time_seconds (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Refusal:
    """One ExternalSecret that asks for what it must not get; made for one proof and taken away after it."""

    def __init__(self, reach: Reach, body: JsonObject) -> None:
        """Use this ExternalSecret, which is not made yet."""
        self._reach = reach
        self._body = body
        self.name = str(body["metadata"]["name"])
        self._namespace = str(body["metadata"]["namespace"])
        self._made = False

    def make(self) -> bool:
        """Make it; False while one of an earlier proof, whose condition says nothing, is still going."""
        if not self._made:
            self.remove()
            self._made = self._reach.inner().create(resources.EXTERNAL_SECRETS, self._body, namespace=self._namespace)
        return self._made

    def remove(self) -> None:
        """Take it away."""
        self._reach.inner().delete(resources.EXTERNAL_SECRETS, self.name, namespace=self._namespace)

    def check(self) -> str | Pending:
        """Look whether it was refused; raises HostError when it got something."""
        if not self.make():
            return Pending(f"ExternalSecret {self.name} of an earlier proof is still there")
        inner = self._reach.inner()
        body = inner.fetch(resources.EXTERNAL_SECRETS, self.name, namespace=self._namespace) or {}
        ready = fetch_condition(body.get("status") or {}, "Ready")
        got = inner.fetch(resources.SECRETS, self.name, namespace=self._namespace) is not None
        if got or (ready or {}).get("status") == "True":
            raise HostError(f"ExternalSecret {self._namespace}/{self.name} got a value from the store")
        if ready is None or ready.get("status") != "False":
            return Pending(f"ExternalSecret {self.name} has no condition Ready yet")
        return f"refused: {ready.get('reason', '')}"


def build_encryption_check(reach: Reach, secret: str, *, namespace: str, prefix: str) -> Callable[[], str | Pending]:
    """Build a check that the API server which answers writes Secrets encrypted, and wrote none in plain text.

    The check writes the Secret again itself: so the server whose count is read has written this very value.

    Args:
        prefix: The bytes that the encrypting provider puts before each value in etcd.
    """

    def check() -> str | Pending:
        stamp = {"metadata": {"annotations": {WRITTEN_ANNOTATION: str(time.time_ns())}}}
        inner = reach.inner()
        inner.patch(resources.SECRETS, secret, stamp, namespace=namespace)
        written = parse_written(inner.fetch_metrics())
        plain = sum(written.get(prefix, 0) for prefix in PLAIN_PREFIXES)
        if plain:
            raise HostError(f"the inner API server has written {plain} Secrets to etcd without encryption")
        if not written.get(prefix):
            seen = ", ".join(sorted(written)) or "no count"
            return Pending(f"no Secret was written with {prefix}; the metrics show {seen}")
        return f"{written[prefix]} Secrets written with {prefix}, none without"

    return check


def parse_written(metrics: str) -> dict[str, int]:
    """Return how many Secrets an API server has written to its storage, by the prefix of what encrypted them."""
    return _parse_transformations(metrics, "to_storage")


def parse_read(metrics: str) -> dict[str, int]:
    """Return how many Secrets an API server has read from its storage, by the prefix of what they were encrypted by."""
    return _parse_transformations(metrics, "from_storage")


def parse_config_fingerprint(metrics: str) -> str:
    """Return the SHA-256 of the encryption configuration that an API server runs with; empty when it does not tell."""
    match = _CONFIG.search(metrics)
    return match["hash"] if match else ""


def parse_process(metrics: str) -> str:
    """Return which process these metrics are of, by when it was started; empty when it does not tell."""
    match = _START.search(metrics)
    return match[1] if match else ""


def _parse_transformations(metrics: str, kind: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in metrics.splitlines():
        match = _COUNTER.match(line)
        labels = dict(_LABEL.findall(match["labels"])) if match else {}
        if match and (labels.get("resource"), labels.get("transformation_type")) == ("secrets", kind):
            prefix = labels.get("transformer_prefix", "")
            counts[prefix] = counts.get(prefix, 0) + round(float(match["count"]))
    return counts


def check_token_life(inner: InnerApi, *, hours: int) -> str | Pending:
    """Look whether the token that is in use expires, and within the configured time; its text stays here."""
    found = inner.fetch_secret_data(TOKEN_SECRET, namespace=names.NAMESPACE_KINKY) or {}
    expires = parse_expiry(found.get("token", b""))
    if expires is None:
        raise HostError(f"Secret {names.NAMESPACE_KINKY}/{TOKEN_SECRET} holds no token with an expiry")
    left, most = expires - datetime.now(UTC), timedelta(hours=hours)
    if left <= timedelta(0):
        raise HostError(f"the store's token has expired at {expires:%Y-%m-%dT%H:%M:%SZ}", hint="pulumi up renews it")
    if left > most + LIFE_TOLERANCE:
        raise HostError(f"the store's token lives for {_hours(left)} more, configured are at most {_hours(most)}")
    return f"expires at {expires:%Y-%m-%dT%H:%M:%SZ}"


def parse_expiry(token: bytes) -> datetime | None:
    """Return when a JSON web token expires; None for another text, or without an end."""
    return parse_time_claim(token, "exp")


def parse_time_claim(token: bytes, claim: str) -> datetime | None:
    """Return what a JSON web token says of a time, such as `exp` or `iat`; None when it says nothing of it."""
    try:
        return datetime.fromtimestamp(int(_parse_part(token, 1)[claim]), UTC)
    except (KeyError, TypeError, ValueError):
        return None


def parse_key_id(token: bytes) -> str:
    """Return the id of the key that has signed a JSON web token; empty for another text."""
    return str(_parse_part(token, 0).get("kid", ""))


def _parse_part(token: bytes, number: int) -> JsonObject:
    """Parse the header (0) or the claims (1) of a JSON web token; empty for another text."""
    try:
        part = token.split(b".")[number]
        parsed = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def make_all(refusals: Sequence[Refusal]) -> None:
    """Make all of them, so that they are refused while something else is waited for."""
    for refusal in refusals:
        refusal.make()


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:.1f} h"
