"""Archives of container images as docker, podman and buildah write them, small enough for a test."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def config(architecture: str = "amd64") -> bytes:
    return encode({"os": "linux", "architecture": architecture})


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_docker(path: Path, *, tag: str = "app:1", architecture: str = "amd64", layer: bytes = b"x" * 4096) -> Path:
    """Write what `docker save` wrote before version 25, and `podman save` still writes."""
    name = digest_of(config(architecture)).removeprefix("sha256:")
    entry = {"Config": f"{name}.json", "RepoTags": [tag], "Layers": ["layer.tar"]}
    return write_tar(path, {f"{name}.json": config(architecture), "manifest.json": encode([entry]), "layer.tar": layer})


def write_oci(path: Path, *, name: str = "example.test/app:1", architecture: str = "amd64") -> Path:
    """Write an OCI layout with one image."""
    manifest = encode({"config": {"digest": digest_of(config(architecture))}, "layers": []})
    entry = {"digest": digest_of(manifest), "annotations": {"io.containerd.image.name": name}}
    return write_tar(
        path,
        {
            "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
            "index.json": encode({"manifests": [entry]}),
            blob(manifest): manifest,
            blob(config(architecture)): config(architecture),
        },
    )


def blob(content: bytes) -> str:
    return f"blobs/{digest_of(content).replace(':', '/')}"
