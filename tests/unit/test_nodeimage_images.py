"""What the system images of the node image hold beside their programs."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from kinky.nodeimage import images, recipe


def test_an_image_with_nft_has_the_names_of_protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them kube-proxy empties its own maps an hour after its start: no Service answers on that node."""
    monkeypatch.setattr(images, "_libraries", lambda root, program: {})
    for name in ("usr/sbin/nft", "etc/protocols", "kube-proxy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (image,) = (image for image in recipe.SYSTEM_IMAGES if image.name == "kube-proxy")
    target = tmp_path / "images.tar"
    images.write_archive(
        target,
        [image],
        references={"kube-proxy": "kinky.internal/kube-proxy:v1"},
        programs={image.program: tmp_path / "kube-proxy"},
        root=tmp_path,
    )
    with tarfile.open(target) as archive:
        layer = archive.extractfile("kube-proxy.tar")
        assert layer is not None
        with tarfile.open(fileobj=io.BytesIO(layer.read())) as files:
            assert {name.lstrip("./") for name in files.getnames()} >= {"usr/sbin/nft", "etc/protocols"}
