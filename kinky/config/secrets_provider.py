"""What Pulumi encrypts secret values with: a provider that only encodes them is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from kinky.config.problem import KeyPath, Problem

PROVIDERS: Final = ("default", "passphrase", "awskms", "azurekeyvault", "gcpkms", "hashivault")
"""What Pulumi knows by name for a stack's file; all of them encrypt."""
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
    if not backend.startswith("file://"):
        return []
    folder = Path(backend.removeprefix("file://")).expanduser() / ".pulumi" / "stacks" / project
    try:
        latest = json.loads((folder / f"{stack}.json").read_text())["checkpoint"]["latest"]
        kind = latest["secrets_providers"]["type"]
    except (OSError, KeyError, TypeError, ValueError):
        # A stack that is new, or a state that Pulumi itself will not take.
        return []
    return [Problem(KEY, kind, f"{_ENCODES} (found in the stack's state)")] if kind == ENCODING else []
