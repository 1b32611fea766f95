"""Which secrets `kinky scan` looks for besides those of the host's namespace: the admin's, and the store's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kinky import paths
from kinky.config.store_kinds import HOST_NAMESPACE
from kinky.errors import KinkyError
from kinky.given_paths import resolve_given
from kinky.scan.known import know, read_host_secrets, read_local
from kinky.scan.secret import KnownSecret, SecretClass
from kinky.stacks.file import StackFile
from kinky.stacks.inner import find_store
from kinky.stacks.passphrase import FILE, VALUE

if TYPE_CHECKING:
    from kinky.reach.reach import Reach

Found = tuple[SecretClass, str, bytes]


def read_secrets(stack_file: StackFile, reach: Reach) -> tuple[list[KnownSecret], list[str]]:
    """Read every secret of a stack and its admin, and tell what could not be read and why."""
    of_store, unknown = read_of_store(stack_file, reach)
    return [*read_host_secrets(reach.host()), *of_store, *read_local()], unknown


def find_passphrase(stack_file: StackFile) -> Path | None:
    """Return the file with the stack's passphrase: the admin's, or our own for stacks on the embedded host."""
    named = os.environ.get(FILE)
    if VALUE in os.environ:
        return None
    return resolve_given(named) if named else paths.passphrase_file() if stack_file.embedded else None


def read_of_store(stack_file: StackFile, reach: Reach) -> tuple[list[KnownSecret], list[str]]:
    """Read what of the store is not in the host's namespace, and tell what could not be read and why.

    A store of Secrets there has its token inside; the values of any other store are on its server, or inside.
    """
    has_token = stack_file.config.secrets_store.kind == HOST_NAMESPACE
    what = "the token that reads the store" if has_token else "the values of the store"
    try:
        return know(_read_token(reach) if has_token else _read_values(stack_file, reach)), []
    except KinkyError as error:
        return [], [f"{what}, because it cannot be read: {error.message}"]


def _read_token(reach: Reach) -> Iterator[Found]:
    from kinky import names
    from kinky.stores.secrets_store import TOKEN_PLACE, TOKEN_SECRET

    held = reach.inner().fetch_secret_data(TOKEN_SECRET, namespace=names.NAMESPACE_KINKY) or {}
    if "token" in held:
        yield SecretClass.STORE_TOKEN, f"inner {TOKEN_PLACE}/token", held["token"]


def _read_values(stack_file: StackFile, reach: Reach) -> Iterator[Found]:
    store = find_store(stack_file, reach)
    for value in store.fetch_all():
        for key, content in (store.read(value.name) or {}).items():
            yield SecretClass.AWAY_VALUE, f"{value.place}/{key}", content
