"""What Pulumi's state of a stack holds, and what it must not."""

from __future__ import annotations

import base64
import json
import re
from typing import Final

from tests.e2e.person import Person

ENCRYPTED: Final = {
    ("pulumi", "kubeconfig"),
    ("pulumi-python", "__provider"),
    ("kubernetes", "data"),
    ("kubernetes", "__inputs"),
}
"""What docs/leaks.md says is encrypted in the state: package and property. None of it holds a key."""
PUBLIC: Final = re.compile(r"\.(crt|pub)$|^(userdata|networkdata)$")
"""Keys of host Secrets that hold nothing secret: certificates, public keys, user-data."""


def find_encrypted(person: Person) -> set[tuple[str, str]]:
    """Return package and property of all that the engine has encrypted in the state, by the passphrase alone."""
    deployment = json.loads(person.pulumi("stack", "export"))["deployment"]
    assert deployment["secrets_providers"]["type"] == "passphrase"
    return {
        (resource["type"].partition("/")[0].partition(":")[0], path)
        for resource in deployment["resources"]
        for part in ("inputs", "outputs")
        for path, value in (resource.get(part) or {}).items()
        if '"ciphertext"' in json.dumps(value)
    }


def check_no_secret(person: Person) -> None:
    """Assert that the state, decrypted, has no private key, no token and no value of the host's Secrets."""
    state = person.pulumi("stack", "export", "--show-secrets")
    assert "PRIVATE KEY" not in state
    assert base64.b64encode(b"-----BEGIN PRIVATE")[:20].decode() not in state
    assert not re.search(r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}", state), "a token"
    for key, encoded in fetch_host_values(person).items():
        plain = base64.b64decode(encoded).decode(errors="replace").strip()
        assert encoded not in state, f"{key} in base64"
        assert plain not in state and json.dumps(plain)[1:-1] not in state, key


def fetch_host_values(person: Person) -> dict[str, str]:
    """Return each secret value of the host's Secrets in base64, by Secret and key."""
    return {
        f"{secret}/{key}": encoded
        for secret, data in person.host_secrets().items()
        for key, encoded in data.items()
        if not PUBLIC.search(key)
    }
