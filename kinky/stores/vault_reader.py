"""The readers of a cluster's values on a server with Vault's API: its public keys, one policy, one role.

The inner cluster signs tokens with a key that KinKy made before the first boot. So the server gets the public key
before the cluster exists, and never has to ask it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from kinky.errors import KinkyError
from kinky.progress import note
from kinky.stores.vault_target import VaultTarget
from kinky.vault.connection import VaultApi, VaultError

OWNER = "inner cluster {owner} of KinKy"
"""Description of an auth method that KinKy mounted, and takes away again."""
OWNER_FIELD = "kinky-cluster"
"""Custom metadata of a value: the cluster whose store it belongs to."""
REMOVAL_SECONDS = 60.0
"""How long a destroy takes care of a server at most; a call that is under way then ends first."""


class VaultReader:
    """The right to read one cluster's values; the admin's token is read at each call."""

    def __init__(self, target: VaultTarget) -> None:
        """Use this part of a server."""
        self._target = target

    def check(self) -> None:
        """Make sure that the server answers, and lets the admin do all that `up` will; reads only."""
        check_server(self._target.open(), self._target)

    def set_up(self, public_keys: Sequence[bytes]) -> None:
        """Tell the server whose tokens it shall take, and what these may read."""
        api = self._target.open()
        check_server(api, self._target)
        set_up(api, self._target, public_keys)

    def tear_down(self) -> None:
        """Take all of it away; what cannot be is told and stops nobody from destroying the rest."""
        target = self._target
        try:
            left = remove(target.open(), target)
        except KinkyError as error:
            note(f"{error.message}; the destroy goes on, and what is left has to be removed there by hand")
            left = [
                f"auth/{target.auth_mount} with role {target.role}",
                f"policy {target.role}",
                f"{target.mount}/{target.prefix}/*",
            ]
        target.forget()
        if left:
            note(f"left on {target.address}: {', '.join(left)}")

    def check_publishing(self) -> None:
        """Make sure that the server can be told other public keys, without telling it any."""
        api, path = self._target.open(), f"auth/{self._target.auth_mount}/config"
        address = self._target.address
        if api.read(path, what=f"read {path}") is None:
            raise VaultError(f"secrets store {address}: {path} is not there", hint="pulumi refresh, then pulumi up")
        lacking = _find_lacking(api, {path: {"update"}})
        if lacking:
            raise VaultError(f"secrets store {address}: your token is not allowed to write {path}", details=lacking)

    def publish_keys(self, public_keys: Sequence[bytes]) -> None:
        """Have the server take tokens that one of these keys signed, and of no other."""
        publish_keys(self._target.open(), self._target, public_keys)


def check_server(api: VaultApi, target: VaultTarget) -> None:
    """Make sure that the server answers, holds the engine, and lets the admin do all that `up` will; reads only."""
    shown = api.read(f"sys/internal/ui/mounts/{target.mount}", what=f"look at the engine {target.mount}") or {}
    data = shown.get("data") or {}
    version = str((data.get("options") or {}).get("version", "1"))
    if (data.get("type"), version) != ("kv", "2"):
        raise VaultError(
            f"secrets store {target.address}: the engine at {target.mount} is {data.get('type')} version {version}",
            details=["needed: kv version 2"],
            hint="check secretsStore.vault.mount, or enable an engine: bao secrets enable -path=<mount> kv-v2",
        )
    needed = {
        f"{target.mount}/data/{target.prefix}/x": {"create", "read", "update"},
        f"{target.mount}/metadata/{target.prefix}/x": {"create", "read", "update", "delete"},
        f"{target.mount}/metadata/{target.prefix}/": {"list"},
        f"{target.mount}/data/{target.decoy}": {"create", "update"},
        f"{target.mount}/metadata/{target.decoy}": {"create", "read", "update", "delete"},
        f"sys/policies/acl/{target.role}": {"create", "update", "read", "delete"},
        "sys/auth": {"read"},
        f"sys/auth/{target.auth_mount}": {"create", "update", "delete", "sudo"},
        f"auth/{target.auth_mount}/config": {"read", "update"},
        f"auth/{target.auth_mount}/role/{target.role}": {"create", "read", "update", "delete"},
    }
    lacking = _find_lacking(api, needed)
    if lacking:
        raise VaultError(
            f"secrets store {target.address}: your token lacks rights there",
            details=lacking,
            hint="use another token; docs/vault.md has a policy for it",
        )


def set_up(api: VaultApi, target: VaultTarget, public_keys: Sequence[bytes]) -> None:
    """Tell the server whose tokens it shall take, and what these may read; what is so already is not written."""
    _mount(api, target, public_keys)
    publish_keys(api, target, public_keys)
    path = f"sys/policies/acl/{target.role}"
    written = api.read(path, what=f"read the policy {target.role}")
    if ((written or {}).get("data") or {}).get("policy") != target.policy:
        api.write(path, {"policy": target.policy}, what=f"write the policy {target.role}")
    path, role = f"auth/{target.auth_mount}/role/{target.role}", _build_role(target)
    if not _holds(api.read(path, what=f"read the role {target.role}"), role):
        api.write(path, role, what=f"write the role {target.role}")


def publish_keys(api: VaultApi, target: VaultTarget, public_keys: Sequence[bytes]) -> None:
    """Have the server take tokens that one of these keys signed, and of no other."""
    path = f"auth/{target.auth_mount}/config"
    wanted = {
        "jwt_validation_pubkeys": [key.decode().strip() for key in public_keys],
        "bound_issuer": target.issuer,
    }
    if not _holds(api.read(path, what=f"read {path}"), wanted):
        api.write(path, wanted, what=f"tell {path} the public keys")


def remove(api: VaultApi, target: VaultTarget) -> list[str]:
    """Take away all that belongs to the cluster, and return what is left on purpose.

    Raises:
        VaultError: the server did not let it; the same call goes on from there.
    """
    until, left = monotonic() + REMOVAL_SECONDS, []
    mounted = _find_method(api, target)
    described = str(mounted.get("description") or "")
    if _is_anothers(described, target):
        left.append(f"auth/{target.auth_mount} and policy {target.role}, of another cluster {target.cluster}")
    else:
        if mounted:
            api.delete(f"auth/{target.auth_mount}/role/{target.role}", what=f"delete the role {target.role}")
        api.delete(f"sys/policies/acl/{target.role}", what=f"delete the policy {target.role}")
        if described == OWNER.format(owner=target.owner):
            api.delete(f"sys/auth/{target.auth_mount}", what=f"take away auth/{target.auth_mount}")
        elif mounted:
            left.append(f"auth/{target.auth_mount}, which KinKy did not mount")
    folder = f"{target.mount}/metadata/{target.prefix}"
    found = api.list(folder, what=f"list {target.prefix}")
    for path in (target.decoy, *(f"{target.prefix}/{name}" for name in found)):
        if monotonic() > until:
            raise VaultError(f"secrets store {target.address}: not all is deleted after {REMOVAL_SECONDS:.0f} s")
        what = f"{target.mount}/metadata/{path}"
        if path.endswith("/") or not is_own(api.read(what, what=f"read {what}"), target):
            left += [] if path == target.decoy else [f"{target.mount}/{path}, which KinKy did not write"]
        else:
            api.delete(what, what=f"delete {what}")
    return left


def is_own(metadata: Mapping[str, Any] | None, target: VaultTarget) -> bool:
    """Tell whether a value is one of the cluster's."""
    custom = ((metadata or {}).get("data") or {}).get("custom_metadata") or {}
    return bool(custom.get(OWNER_FIELD) == target.owner)


def _is_anothers(description: str, target: VaultTarget) -> bool:
    """Tell whether KinKy mounted an auth method for a cluster of this name on another host or in another namespace."""
    begins = OWNER.format(owner=f"{target.cluster} ").partition(" of KinKy")[0]
    return description.startswith(begins) and description != OWNER.format(owner=target.owner)


def _mount(api: VaultApi, target: VaultTarget, public_keys: Sequence[bytes]) -> None:
    """Mount the auth method, unless it is there; refuse another type, or a method that serves somebody else."""
    path, owner = target.auth_mount, OWNER.format(owner=target.owner)
    mounted = _find_method(api, target)
    if not mounted:
        api.write(f"sys/auth/{path}", {"type": "jwt", "description": owner}, what=f"mount auth/{path}")
        return
    if mounted.get("type") != "jwt":
        raise VaultError(
            f"secrets store {target.address}: auth/{path} is of type {mounted.get('type')}, not jwt",
            hint="choose another secretsStore.vault.authMount",
        )
    written = ((api.read(f"auth/{path}/config", what=f"read auth/{path}/config") or {}).get("data")) or {}
    known = {str(key).strip() for key in written.get("jwt_validation_pubkeys") or ()}
    others = written.get("jwks_url") or written.get("oidc_discovery_url")
    if mounted.get("description") != owner and (others or not known <= {key.decode().strip() for key in public_keys}):
        raise VaultError(
            f"secrets store {target.address}: auth/{path} takes tokens of somebody else",
            details=["it has one set of public keys, which would be replaced"],
            hint="choose another secretsStore.vault.authMount: each cluster needs one of its own",
        )


def _find_method(api: VaultApi, target: VaultTarget) -> Mapping[str, Any]:
    """Find what is mounted at the cluster's auth path; empty when nothing is."""
    listed = api.read("sys/auth", what="list the auth methods") or {}
    found: Mapping[str, Any] = (listed.get("data") or {}).get(f"{target.auth_mount}/") or {}
    return found


def _build_role(target: VaultTarget) -> dict[str, Any]:
    seconds = target.token_minutes * 60
    return {
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": [target.audience],
        "bound_subject": target.subject,
        "token_policies": [target.role],
        "token_no_default_policy": True,
        "token_ttl": seconds,
        "token_max_ttl": seconds,
    }


def _holds(answer: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Tell whether what is written has these fields; PEM texts may differ in their last newline."""
    written = (answer or {}).get("data") or {}
    return bool(answer) and all(_plain(written.get(key)) == _plain(value) for key, value in wanted.items())


def _plain(value: Any) -> Any:
    return [str(each).strip() for each in value] if isinstance(value, list) else value


def _find_lacking(api: VaultApi, needed: Mapping[str, set[str]]) -> list[str]:
    """Ask what the token may, and describe what it lacks."""
    answer = api.write("sys/capabilities-self", {"paths": list(needed)}, what="ask what your token may")
    allowed = answer.get("data") or {}
    lacking = []
    for path, wanted in needed.items():
        given = set(allowed.get(path) or ())
        missing = set() if "root" in given else wanted - given
        if missing:
            lacking.append(f"{path}: {', '.join(sorted(missing))}")
    return lacking
