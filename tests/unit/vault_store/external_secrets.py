"""External Secrets with a server outside: a client that logs in and reads, as the real one does."""

from __future__ import annotations

import base64

import urllib3

from tests.unit.fake_api import FakeConnection
from tests.unit.fake_store import CANARIES, INNER_SECRETS
from tests.unit.vault_store.conftest import Site


class ExternalSecrets:
    """Reads what its ExternalSecrets ask for, whenever somebody sleeps."""

    def __init__(self, site: Site, inner: FakeConnection) -> None:
        self.site = site
        self.inner = inner
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.01)
        for path, asked in [*self.inner.objects.items()]:
            if path.startswith(CANARIES):
                self._sync(str(asked["metadata"]["name"]), asked)

    def _sync(self, name: str, asked: dict[str, object]) -> None:
        ready = self._read(name)
        status = {"type": "Ready", "status": "True" if ready else "False", "reason": "SecretSynced"}
        if asked is self.inner.objects.get(f"{CANARIES}/{name}"):
            asked["status"] = {"conditions": [status]}

    def _read(self, name: str) -> bool:
        remote = self.inner.objects[f"{CANARIES}/{name}"]["spec"]["data"][0]["remoteRef"]
        try:
            answer = self.site.log_in().get(f"secret/data/{remote['key']}")
        except (AssertionError, urllib3.exceptions.HTTPError):
            return False
        if answer.status != 200:
            return False
        value = str(answer.data["data"][remote["property"]]).encode()
        encoded = {remote["property"]: base64.b64encode(value).decode()}
        self.inner.add(INNER_SECRETS, name, data=encoded)
        return True
