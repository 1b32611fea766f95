"""The API server's encryption configuration as data: secretbox keys in order, of which the first one writes, or a KMS.

`identity` is never first, so nothing is ever written in the clear.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kinky import names
from kinky.errors import HostError

if TYPE_CHECKING:
    # The models take half a second, and kubectl waits for `kinky credential`.
    from kinky.config.model import Encryption

NAME_PREFIX = "key-"
KMS_TIMEOUT_SECONDS = 3
"""The timeout that an API server gives a plugin by default; written out, so that it is not another's default."""


@dataclass(frozen=True)
class EncryptionKey:
    """One key; etcd holds its name in clear text before each value that it has encrypted."""

    name: str
    secret: str = field(repr=False)
    """32 random bytes in base64."""

    @property
    def fingerprint(self) -> str:
        """The first digits of its SHA-256: of 32 random bytes they tell nothing."""
        return names.short_fingerprint(base64.b64decode(self.secret))

    @property
    def number(self) -> int:
        """The number in its name, from 1; no key ever gets the name of an earlier one."""
        return int(self.name.removeprefix(NAME_PREFIX))


def make_encryption_key(number: int) -> EncryptionKey:
    """Make a key of this number."""
    return EncryptionKey(f"{NAME_PREFIX}{number}", base64.b64encode(secrets.token_bytes(32)).decode())


def render_encryption_config(keys: Sequence[EncryptionKey]) -> bytes:
    """Render the file (secret).

    secretbox comes first, so everything is written encrypted from the first boot. identity comes last: it would only
    read values in the clear, which do not exist.
    """
    listed = [{"name": key.name, "secret": key.secret} for key in keys]
    body = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [
            {"resources": ["secrets"], "providers": [{"secretbox": {"keys": listed}}, {"identity": {}}]},
        ],
    }
    return (json.dumps(body, indent=2) + "\n").encode()


def render_kms_config(asked: Encryption) -> str:
    """Render the file for a KMS v2 plugin, which holds no secret; empty if none is asked for.

    There is no second provider: a value that the KMS has not encrypted is not read.
    """
    if asked.kms_socket is None:
        return ""
    plugin = {
        "apiVersion": "v2",
        "name": names.KMS_NAME,
        "endpoint": f"unix://{asked.kms_socket}",
        "timeout": f"{asked.kms_timeout_seconds or KMS_TIMEOUT_SECONDS}s",
    }
    body = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [{names.KMS: plugin}]}],
    }
    return json.dumps(body, indent=2) + "\n"


def parse_provider(content: bytes) -> str:
    """Return which provider writes, `secretbox` or `kms`; raises HostError, without its content, for anything else."""
    try:
        (provider,) = json.loads(content)["resources"][0]["providers"][0]
    except (IndexError, KeyError, TypeError, ValueError):
        provider = ""
    if provider not in names.ETCD_PREFIXES:
        raise _foreign()
    return str(provider)


def parse_encryption_keys(content: bytes) -> tuple[EncryptionKey, ...]:
    """Parse what `render_encryption_config` has rendered; raises HostError, without its content, for anything else."""
    try:
        listed = json.loads(content)["resources"][0]["providers"][0]["secretbox"]["keys"]
        keys = tuple(EncryptionKey(key["name"], key["secret"]) for key in listed)
        numbers = [key.number for key in keys]
    except (IndexError, KeyError, TypeError, ValueError):
        numbers = []
    if not numbers:
        raise _foreign()
    return keys


def _foreign() -> HostError:
    return HostError(
        "the encryption configuration in the key Secret was not written by kinky",
        hint="it was edited: with another form of it kinky cannot tell which key is the old one",
    )
