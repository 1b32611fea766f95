"""A client for tests: it sends a call over HTTPS and gives back what was answered, a refusal included."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3


@dataclass(frozen=True)
class Answer:
    """The status and the JSON of a response."""

    status: int
    body: Mapping[str, Any] = field(repr=False)

    @property
    def data(self) -> Any:
        """What was asked for."""
        return self.body["data"]

    @property
    def errors(self) -> str:
        """Why it was refused."""
        return "\n".join(self.body["errors"])


class VaultClient:
    """Calls of one token; network errors are urllib3's own."""

    def __init__(self, address: str, ca: Path, token: str = "", *, timeout_seconds: float = 60) -> None:
        self._address = address
        self._ca = ca
        self._token = token
        self._timeout = timeout_seconds
        self._pool = urllib3.PoolManager(ca_certs=str(ca), retries=False, timeout=timeout_seconds)

    def with_token(self, token: str) -> VaultClient:
        """Return a client of another token."""
        return VaultClient(self._address, self._ca, token, timeout_seconds=self._timeout)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Send one call; `path` is what follows /v1/."""
        headers = {"X-Vault-Request": "true", **({"X-Vault-Token": self._token} if self._token else {})}
        content = None if body is None else json.dumps(body).encode()
        response = self._pool.request(method, f"{self._address}/v1/{path}", headers=headers, body=content)
        return Answer(response.status, json.loads(response.data) if response.data else {})

    def get(self, path: str) -> Answer:
        """Read."""
        return self.call("GET", path)

    def put(self, path: str, **body: Any) -> Answer:
        """Write."""
        return self.call("PUT", path, body)

    def list(self, path: str) -> Answer:
        """List, as Vault's own client does."""
        return self.call("GET", f"{path}?list=true")

    def delete(self, path: str) -> Answer:
        """Delete."""
        return self.call("DELETE", path)
