"""What `kinky image show` tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kinky.cli import main
from kinky.nodeimage import build


def test_show_names_the_files_in_both_forms(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = build.NodeImage(
        reference="kinky.internal/node:1",
        kubernetes_version="v1.36.3",
        content_hash="abc",
        images=("kinky.internal/pause:1",),
        directory=Path("/images/abc"),
    )
    monkeypatch.setattr(build, "current_node_image", lambda _release: image)
    assert main.main(["image", "show"]) == 0
    table = capsys.readouterr().out
    assert main.main(["image", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["archive"], shown["disk"]) == ("/images/abc/image.tar", "/images/abc/disk.qcow2")
    assert all(shown[key] in table for key in ("reference", "archive", "disk"))
