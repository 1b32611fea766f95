"""Tokens: made by a login or by another token, and gone when their time is over."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.vault_server.messages import format_time
from tests.vault_server.policies import ROOT

LONGEST_SECONDS = 768 * 3600
"""What Vault gives unless told otherwise."""


@dataclass
class Token:
    """What is known of one token; its text never shows in a repr."""

    text: str = field(repr=False)
    policies: tuple[str, ...]
    path: str
    display_name: str
    ttl_seconds: int
    """0 means for ever."""
    longest_seconds: int = LONGEST_SECONDS
    meta: Mapping[str, str] | None = None
    parent: str = field(default="", repr=False)
    renewable: bool = True
    accessor: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    entity: str = ""
    made: int = field(default_factory=time.time_ns)
    ends: int = 0

    def __post_init__(self) -> None:
        self.ends = self.made + self.ttl_seconds * 10**9 if self.ttl_seconds else 0

    @property
    def is_root(self) -> bool:
        """Tell whether no policy is asked for this token."""
        return ROOT in self.policies

    def has_ended(self) -> bool:
        """Tell whether the token's time is over."""
        return bool(self.ends) and time.time_ns() >= self.ends

    def renew(self, seconds: int) -> None:
        """Let the token live from now, for what it was made for or the seconds asked, and no longer than it may."""
        wanted = time.time_ns() + (seconds or self.ttl_seconds) * 10**9
        self.ends = min(wanted, self.made + self.longest_seconds * 10**9)

    def left_seconds(self) -> int:
        """Return for how long the token lives on; 0 for one that lives for ever."""
        return max(0, round((self.ends - time.time_ns()) / 10**9)) if self.ends else 0

    def as_auth(self) -> dict[str, Any]:
        """Return the token as the call that makes or renews it answers."""
        return {
            "client_token": self.text,
            "accessor": self.accessor,
            "policies": list(self.policies),
            "token_policies": list(self.policies),
            "metadata": self.meta,
            "lease_duration": self.left_seconds(),
            "renewable": self.renewable and bool(self.ends),
            "entity_id": self.entity,
            "token_type": "service",
            "orphan": not self.parent,
            "mfa_requirement": None,
            "num_uses": 0,
        }

    def as_data(self) -> dict[str, Any]:
        """Return the token as a look-up answers."""
        data = {
            "accessor": self.accessor,
            "creation_time": self.made // 10**9,
            "creation_ttl": self.ttl_seconds,
            "display_name": self.display_name,
            "entity_id": self.entity,
            "expire_time": format_time(self.ends) if self.ends else None,
            "explicit_max_ttl": 0,
            "id": self.text,
            "meta": self.meta,
            "num_uses": 0,
            "orphan": not self.parent,
            "path": self.path,
            "policies": list(self.policies),
            "ttl": self.left_seconds(),
            "type": "service",
        }
        if self.ends:
            data |= {"issue_time": format_time(self.made), "renewable": self.renewable}
        return data


class TokenStore:
    """All tokens that live."""

    def __init__(self, root: str) -> None:
        self._lock = threading.Lock()
        first = Token(text=root, policies=(ROOT,), path="auth/token/create", display_name="token", ttl_seconds=0)
        self._tokens = {root: first}

    def find(self, text: str) -> Token | None:
        """Return the token if it lives."""
        with self._lock:
            token = self._tokens.get(text)
            if token is not None and token.has_ended():
                self._drop(token)
                return None
            return token

    def make(self, **details: Any) -> Token:
        """Return a new token."""
        token = Token(text=details.pop("text", "") or f"hvs.{secrets.token_urlsafe(24)}", **details)
        with self._lock:
            self._tokens[token.text] = token
        return token

    def revoke(self, token: Token) -> None:
        """End a token, and with it those that it made."""
        with self._lock:
            self._drop(token)

    def revoke_below(self, path: str) -> None:
        """End the tokens that a login at the path made."""
        with self._lock:
            for token in [*self._tokens.values()]:
                if token.path.startswith(path):
                    self._drop(token)

    def _drop(self, token: Token) -> None:
        self._tokens.pop(token.text, None)
        for child in [each for each in self._tokens.values() if each.parent == token.text]:
            self._drop(child)


def make_entity() -> str:
    """Return the id of an entity, which each name that logs in has."""
    return str(uuid.uuid4())
