"""One observation of one capability: what was seen, from which side, when, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from kinky.errors import KinkyError
from kinky.keys.certificates import format_time
from kinky.kube.connection import ApiError, UnavailableError

PROBE_VERSION: Final = 1
"""Changes when a probe sees something else than before under the same name."""
HERE: Final = "here"

UNREACHABLE: Final = frozenset({"refused", "silent", "reset", "no-route", "no-answer", "unknown-name"})
"""Reasons that a cut network of the prober would show as well."""


class State(StrEnum):
    """The state that an observation reports."""

    OK = "ok"
    WARNING = "warning"
    """It works, and something is missing or will end soon."""
    BAD = "bad"
    UNKNOWN = "unknown"
    """The prober could not look."""


class Side(StrEnum):
    """From where something was seen."""

    OUTSIDE = "outside"
    """As a user of the cluster meets it; only this decides."""
    INSIDE = "inside"
    """As the cluster or its host reports it; it is compared, and never trusted."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One thing that was seen; it holds no secret and no nonce."""

    capability: str
    target: str
    """The asked address, node or object."""
    side: Side
    state: State
    reason: str = ""
    """A short code, such as `wrong-ca`; empty when all is well."""
    detail: str = ""
    hint: str = ""
    """One step that helps, if possible a command."""
    latency_ms: float | None = None
    at: str = ""
    """RFC 3339 time of the look."""
    vantage: str = HERE
    family: str = ""
    """IPv4 or IPv6, where the families are asked one by one."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Values for other parts, such as the end of a certificate's life."""

    def build(self) -> dict[str, Any]:
        """Return the observation as JSON has it."""
        return {**vars(self), "facts": dict(self.facts)}

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Observation:
        """Parse what `build` has built; raises ValueError or TypeError for anything else."""
        return cls(**{**body, "side": Side(body["side"]), "state": State(body["state"])})


class Watch:
    """Builds the observations of one look: the same capability, target and clock."""

    def __init__(self, capability: str, target: str, side: Side = Side.OUTSIDE, *, family: str = "") -> None:
        """Start the clock."""
        self._known = Observation(capability=capability, target=target, side=side, state=State.OK, family=family)
        self._started = time.monotonic()
        self._at = datetime.now(UTC)

    def see(self, state: State, reason: str = "", detail: str = "", **more: Any) -> Observation:
        """Return an observation of now."""
        latency = round((time.monotonic() - self._started) * 1000, 1)
        at = format_time(self._at)
        return replace(
            self._known, state=state, reason=reason, detail=detail, at=at, **({"latency_ms": latency} | more)
        )

    def good(self, detail: str = "", **more: Any) -> Observation:
        """Return the observation that all is well."""
        return self.see(State.OK, "", detail, **more)

    def bad(self, reason: str, detail: str, **more: Any) -> Observation:
        """Return the observation that users are affected."""
        return self.see(State.BAD, reason, detail, **more)

    def warn(self, reason: str, detail: str, **more: Any) -> Observation:
        """Return the observation that something is missing which users do not notice yet."""
        return self.see(State.WARNING, reason, detail, **more)

    def blind(self, error: KinkyError) -> Observation:
        """Return the observation that the prober could not look."""
        hint = error.hint or ("ask for this right" if find_reason(error) == "not-allowed" else "")
        return self.see(State.UNKNOWN, find_reason(error), error.message, hint=hint)

    def failed(self, error: KinkyError) -> Observation:
        """Return what an error means for a call that users make too: only a missing right is not the cluster's."""
        if find_reason(error) == "not-allowed":
            return self.blind(error)
        return self.bad(find_reason(error), error.message, hint=error.hint or "")

    def unreached(self, error: KinkyError, **more: Any) -> Observation:
        """Return what it means that no way leads to a node: its own fault, unless the host does not let us try."""
        if is_blind(error):
            return self.blind(error)
        return self.bad("no-way", error.message, **more)


def find_reason(error: KinkyError) -> str:
    """Return the short code of an error."""
    if isinstance(error, ApiError) and error.status == 403:
        # A quota answers with 403 as well, and is no missing right.
        return "quota" if "exceeded quota" in error.message else "not-allowed"
    if isinstance(error, UnavailableError):
        return "no-answer" if error.status is None else "server-error"
    return "refused-call" if isinstance(error, ApiError) else "failed"


def is_blind(error: KinkyError) -> bool:
    """Tell whether an error is of the prober's way over the host, and not of what lies behind it."""
    return find_reason(error) in ("not-allowed", "no-answer", "server-error")
