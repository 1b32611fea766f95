"""An API server of the fake cluster: the keys that it has read at its boot, and how often it has used each."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from kinky.keys.certificates import build_fingerprint


@dataclass
class Server:
    """What an API server has read at its boot, and what it has counted since."""

    started: str
    """What tells this process from every other."""
    config_hash: str
    keys: list[str]
    public: list[str]
    """Fingerprints of the public keys that it publishes, the signing one first."""
    signs: str
    counts: dict[tuple[str, str], int]


def count(server: Server, kind: str, key: str) -> None:
    """Count as an API server does: the outer prefix and the key's."""
    for prefix in ("k8s:enc:secretbox:v1:", f"{key}:"):
        server.counts[(kind, prefix)] = server.counts.get((kind, prefix), 0) + 1


def read_key_names(content: bytes) -> list[str]:
    providers = json.loads(content)["resources"][0]["providers"]
    assert [next(iter(provider)) for provider in providers] == ["secretbox", "identity"]
    return [key["name"] for key in providers[0]["secretbox"]["keys"]]


def read_public(content: bytes) -> list[str]:
    end = b"-----END PUBLIC KEY-----\n"
    return [build_fingerprint(part + end) for part in content.split(end) if part.strip()]


def build_kid(fingerprint: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(fingerprint)).decode().rstrip("=")
