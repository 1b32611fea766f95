"""The record of a node image: facts for a program that uses the image, without its disk.

The image itself holds it, so every copy and archive of the image has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kinky.manifests.body import Body
from kinky.render.cloud_config import CloudInitSchemas

PLACE: Final = "kinky/record.json"
"""Path in the image, beside the disk; the launcher never reads it."""
_PARTS: Final = {
    "definitions": "external-secrets-crds.json",
    "cloudConfigSchema": "cloud-config-schema.json",
    "networkDataSchema": "network-data-schema.json",
}
"""Files of the build that become parts of the record."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """Facts that a node image holds about itself."""

    kubernetes_version: str
    content_hash: str
    images: tuple[str, ...]
    """The system images in it."""
    definitions: Sequence[Body]
    """Those of External Secrets, in the version that the image holds."""
    cloud_init_schemas: CloudInitSchemas
    """Those of the cloud-init that the image runs."""


def build_record(image: Mapping[str, Any], *, parts: Path) -> bytes:
    """Return the record as text, from the build's data about the image and the files in its folder."""
    read = {key: json.loads((parts / file).read_text()) for key, file in _PARTS.items()}
    return json.dumps({**image, **read}, sort_keys=True).encode()


def parse_record(text: bytes) -> Record:
    """Parse a record; raises LookupError, TypeError or ValueError for any other text."""
    held = json.loads(text)
    return Record(
        kubernetes_version=str(held["kubernetesVersion"]),
        content_hash=str(held["contentHash"]),
        images=tuple(map(str, held["images"])),
        definitions=[dict(each) for each in held["definitions"]],
        cloud_init_schemas=CloudInitSchemas(
            cloud_config=dict(held["cloudConfigSchema"]), network_data=dict(held["networkDataSchema"])
        ),
    )
