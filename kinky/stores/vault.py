"""Kind `vault`: values of a KV engine (version 2) on a server with Vault's API, read by logins of a few minutes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kinky import names
from kinky.errors import KinkyError
from kinky.keys.certificates import parse_time
from kinky.kube.inner import InnerApi
from kinky.manifests.addons import external_secrets
from kinky.manifests.stores.vault import LOGIN_SECONDS
from kinky.retry import Pending
from kinky.stores.evidence import LIFE_TOLERANCE, parse_expiry, parse_time_claim
from kinky.stores.store import FOREIGN, PROGRAM, Store, StoredValue, StoreServer
from kinky.stores.vault_reader import OWNER_FIELD, VaultReader, is_own
from kinky.stores.vault_target import VaultTarget
from kinky.vault.connection import VaultApi, VaultError, VaultRefusedError

MAKER_FIELD = "kinky-made-by"


class VaultStore(Store):
    """A cluster's part of a server."""

    def __init__(self, target: VaultTarget) -> None:
        """Use this part; the admin's token is read at the first call."""
        self._target = target
        self._api: VaultApi | None = None

    @property
    def server(self) -> StoreServer:
        """The server."""
        return VaultReader(self._target)

    def describe(self, name: str) -> str:
        """Return the path of the value, as `bao kv get` takes it."""
        return f"{self._target.mount}/{self._target.prefix}/{name} of {self._target.address}"

    def fetch(self, name: str) -> StoredValue | None:
        """Fetch what may be told of one value: what its metadata says, and the fingerprints."""
        path = self._path("metadata", name)
        known = self._open().read(path, what=f"read {path}")
        data, version = self._read(name)
        if known is None or version == 0:
            return None
        metadata = known.get("data") or {}
        custom = metadata.get("custom_metadata") or {}
        own = is_own(known, self._target)
        return StoredValue(
            name=name,
            place=self.describe(name),
            made_by=str(custom.get(MAKER_FIELD, FOREIGN)) if own else FOREIGN,
            changed_at=parse_time(str(metadata["updated_time"])),
            fingerprints={key: names.short_fingerprint(value) for key, value in sorted(data.items())},
        )

    def fetch_all(self) -> list[StoredValue]:
        """Fetch what may be told of all values below the prefix, whoever wrote them."""
        target = self._target
        folder = f"{target.mount}/metadata/{target.prefix}"
        found = self._open().list(folder, what=f"list {folder}")
        values = [self.fetch(name) for name in sorted(found) if not name.endswith("/")]
        return [value for value in values if value is not None]

    def read(self, name: str) -> Mapping[str, bytes] | None:
        """Read one value."""
        data, version = self._read(name)
        return data if version else None

    def create(self, name: str, data: Mapping[str, bytes]) -> bool:
        """Write a value of the program's, unless there is one."""
        _, version = self._read(name)
        if version:
            return False
        self._write(name, data, version=None, made_by=PROGRAM)
        return True

    def write(self, name: str, data: Mapping[str, bytes]) -> None:
        """Write a value of the program's over what was there."""
        self._write(name, data, version=None, made_by=PROGRAM)

    def put(self, name: str, key: str, value: bytes) -> None:
        """Write one key of an admin's value; whoever may read the prefix may read it."""
        data, version = self._read(name)
        self._write(name, {**data, key: value}, version=version or None, made_by=names.ADMIN)

    def delete(self, name: str) -> None:
        """Delete a value with all its versions."""
        path = self._path("metadata", name)
        self._open().delete(path, what=f"delete {path}")

    def forget(self, name: str) -> None:
        """Nothing: what is on the server goes as a whole, with the role that reads it."""

    def write_decoy(self, data: Mapping[str, bytes]) -> None:
        """Write a value beside the prefix."""
        self._write_at(self._target.decoy, data, version=None, made_by=PROGRAM)

    def delete_decoy(self) -> None:
        """Delete it with all its versions."""
        path = f"{self._target.mount}/metadata/{self._target.decoy}"
        self._open().delete(path, what=f"delete {path}")

    def check_credential(self, inner: InnerApi) -> str | Pending:
        """Log in as External Secrets does, look how long that lasts and what it may, and end it."""
        target = self._target
        jwt, _ = inner.request_token(
            external_secrets.APP, namespace=names.NAMESPACE_KINKY, seconds=LOGIN_SECONDS, audience=target.audience
        )
        begins, expires = parse_time_claim(jwt.encode(), "iat"), parse_expiry(jwt.encode())
        if begins is None or expires is None or expires - begins > timedelta(seconds=LOGIN_SECONDS) + LIFE_TOLERANCE:
            raise KinkyError(f"the token that External Secrets logs in with lives for more than {LOGIN_SECONDS} s")
        anybody = target.open_for_login()
        login = f"auth/{target.auth_mount}/login"
        given = anybody.write(login, {"role": target.role, "jwt": jwt}, what=f"log in at {login}").get("auth") or {}
        try:
            return self._check_login(given)
        finally:
            ours = anybody.with_token(str(given.get("client_token", "")))
            ours.write("auth/token/revoke-self", {}, what="end the login of the proof")

    def _check_login(self, given: Mapping[str, Any]) -> str:
        policies, seconds = set(given.get("policies") or ()), int(given.get("lease_duration") or 0)
        most = self._target.token_minutes * 60
        if policies != {self._target.role}:
            others = ", ".join(sorted(policies - {self._target.role})) or "none"
            raise VaultError(f"a login as {self._target.role} has other policies than its own: {others}")
        if not 0 < seconds <= most:
            raise VaultError(f"a login as {self._target.role} lives for {seconds or 'ever'}, allowed are {most} s")
        return f"a login lives for {seconds} s, and the token for it {LOGIN_SECONDS} s"

    def _read(self, name: str) -> tuple[dict[str, bytes], int]:
        """Read the newest version of a value and its number; 0 if it does not exist, or was deleted."""
        path = self._path("data", name)
        answer = (self._open().read(path, what=f"read {path}") or {}).get("data") or {}
        data = answer.get("data")
        if not isinstance(data, Mapping):
            return {}, 0
        found = {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in data.items()}
        return {key: value.encode() for key, value in found.items()}, int(answer["metadata"]["version"])

    def _write(self, name: str, data: Mapping[str, bytes], *, version: int | None, made_by: str) -> None:
        self._write_at(f"{self._target.prefix}/{name}", data, version=version, made_by=made_by)

    def _write_at(self, path: str, data: Mapping[str, bytes], *, version: int | None, made_by: str) -> None:
        """Write a value, first its owner and then its content: an interrupted write has an owner.

        Args:
            version: The version that was read; None when whatever is there is replaced.
        """
        try:
            texts = {key: value.decode() for key, value in data.items()}
        except UnicodeDecodeError:
            raise KinkyError(
                "secrets store: a value that is not text (UTF-8) cannot be kept by a server with Vault's API",
                hint="keep it as base64, and give the ExternalSecret decodingStrategy: Base64",
            ) from None
        api, mount = self._open(), self._target.mount
        owner = {OWNER_FIELD: self._target.owner, MAKER_FIELD: made_by}
        api.write(f"{mount}/metadata/{path}", {"custom_metadata": owner}, what=f"write {mount}/metadata/{path}")
        body: dict[str, Any] = {"data": texts} | ({"options": {"cas": version}} if version is not None else {})
        try:
            api.write(f"{mount}/data/{path}", body, what=f"write {mount}/data/{path}")
        except VaultRefusedError:
            # Of a refused write only that is told: the text might quote what was sent.
            raise VaultError(
                f"secrets store {self._target.address}: cannot write {mount}/data/{path}: refused (400)",
                hint="somebody may have changed it meanwhile: run the same command again",
            ) from None

    def _path(self, area: str, name: str) -> str:
        return f"{self._target.mount}/{area}/{self._target.prefix}/{name}"

    def _open(self) -> VaultApi:
        if self._api is None:
            self._api = self._target.open()
        return self._api
