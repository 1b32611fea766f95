"""The provider with which Pulumi encrypts secret values: a provider that only encodes them is refused."""

from __future__ import annotations

from typing import Final

from kinky.config.backend import DAMAGED, describe_damage, parse_backend, read_state
from kinky.config.problem import KeyPath, Problem
from kinky.progress import note

PROVIDERS: Final = ("default", "passphrase", "awskms", "azurekeyvault", "gcpkms", "hashivault")
"""Providers that Pulumi knows by name for a stack's file; all of them encrypt."""
ENCODING: Final = "b64"
"""Pulumi's own provider for tests, which writes base64."""
KEY: Final[KeyPath] = ("secretsprovider",)
_ENCODES: Final = "only encodes, which anybody can undo; use passphrase or one of the key services that Pulumi knows"


def check_secrets_provider(provider: object) -> list[Problem]:
    """Return what is wrong with `secretsprovider` of a stack's file; None stands for a passphrase."""
    kind = str(provider).partition(":")[0]
    if provider is None or kind in PROVIDERS:
        return []
    return [Problem(KEY, provider, _ENCODES if kind == ENCODING else f"must be one of: {', '.join(PROVIDERS)}")]


def check_state_provider(backend: str, *, project: str, stack: str) -> list[Problem]:
    """Return what is wrong with the provider that a stack's state was written with, if the state is a local file."""
    file = parse_backend(backend).find_state(project, stack)
    if file is None:
        return []
    try:
        latest = read_state(file)["checkpoint"].get("latest") or {}
        kind = (latest.get("secrets_providers") or {}).get("type")
    except (AttributeError, *DAMAGED) as error:
        note(f"cannot read how the state of this stack is encrypted: {file}: {describe_damage(error)}")
        return []
    return [Problem(KEY, kind, f"{_ENCODES} (found in the stack's state)")] if kind == ENCODING else []
