"""The values of the secrets store: the program's random ones, and the admin's, whatever kind of store it is.

Pulumi does not know the admin's values. `kinky secrets` writes and removes them, never `up`, so none of them is in its
state and no preview sees them. `destroy` removes all of them.
"""

import re
import secrets
from dataclasses import dataclass

from kinky import names
from kinky.errors import ConfigError, HostError, KinkyError
from kinky.manifests.store_values import PROGRAM_VALUES
from kinky.stores.store import FOREIGN, Store, StoredValue, build_value_fingerprint

VALUE_LIMIT_BYTES = 1_000_000
"""Kubernetes keeps at most 1 MiB in one Secret, names of keys and metadata included."""
KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


@dataclass(frozen=True)
class StoreValueRecord:
    """Where a value of the store is, and which it is."""

    place: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """The effect of a write on one key."""

    place: str
    before: str | None
    """Fingerprint of the value that was there; None when the key is new."""
    after: str


def ensure_store_value(store: Store, name: str, *, key: str = "value", nbytes: int = 24) -> StoreValueRecord:
    """Make a random value in the store, unless one of that name is there, which stays as it is."""
    value = secrets.token_urlsafe(nbytes).encode()
    if not store.create(name, {key: value}):
        present = store.read(name) or {}
        if key not in present:
            raise HostError(
                f"secrets store: {store.describe(name)} has no key {key}",
                hint="it was edited: add the key, or remove it, and the next pulumi up makes it again",
            )
        value = present[key]
    return StoreValueRecord(store.describe(name), build_value_fingerprint([value]))


def check_value_name(cluster: str, name: str) -> None:
    """Refuse a name that cannot be a value's, or that the program uses; raises KinkyError."""
    if not names.is_dns_label(name):
        # Somebody may have written name=value: what is no name is not repeated.
        raise ConfigError(
            f"secrets store of {cluster}: this cannot be the name of a value",
            details=["a name has lower-case letters, digits and hyphens, starts with a letter, and is at most 63 long"],
            hint="such as db-password; the value itself comes from standard input or --file",
        )
    if name in PROGRAM_VALUES:
        raise _program_error(cluster, name)


def check_key(key: str) -> None:
    """Refuse what Kubernetes does not take as a key of a Secret; raises KinkyError."""
    if not KEY.fullmatch(key):
        raise ConfigError(
            "this cannot be a key of a Secret",
            details=["a key has letters, digits, '-', '_' and '.', and is at most 253 long"],
            hint="leave --key out for the key: value",
        )


def put_value(store: Store, cluster: str, name: str, *, key: str, value: bytes) -> Change:
    """Write one key of an admin's value, over what was there, and let the inner cluster's store read it.

    Raises:
        KinkyError: the name is not the admin's to use, or the store refused; nothing was changed then.
    """
    check_value_name(cluster, name)
    check_key(key)
    present = store.fetch(name)
    before = _check_own(cluster, present).fingerprints.get(key) if present else None
    store.put(name, key, value)
    return Change(place=store.describe(name), before=before, after=names.short_fingerprint(value))


def delete_value(store: Store, cluster: str, name: str) -> StoredValue:
    """Remove an admin's value, its right to be read first, and return what it was.

    Raises:
        KinkyError: there is no such value, or the program made it.
    """
    check_value_name(cluster, name)
    present = store.fetch(name)
    if present is None:
        raise KinkyError(
            f'secrets store of {cluster}: there is no value "{name}"', hint="kinky secrets list shows what there is"
        )
    value = _check_own(cluster, present)
    store.delete(name)
    return value


def _check_own(cluster: str, value: StoredValue) -> StoredValue:
    """Return a value that the admin may change; raises KinkyError for any other."""
    if value.made_by == FOREIGN:
        raise KinkyError(
            f'secrets store of {cluster}: the value "{value.name}" was not made by kinky',
            details=[value.place],
            hint="change it where it was made, or choose another name",
        )
    if value.made_by != names.ADMIN:
        raise _program_error(cluster, value.name)
    return value


def _program_error(cluster: str, name: str) -> KinkyError:
    return KinkyError(
        f'secrets store of {cluster}: the value "{name}" is the program\'s own',
        details=["pulumi up makes it and pulumi destroy removes it; no other command changes it"],
        hint="choose another name",
    )
