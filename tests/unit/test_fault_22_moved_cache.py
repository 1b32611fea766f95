"""The cache moved, or mounted elsewhere: what is recorded in it and about it goes on being true."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kinky import paths
from kinky.artefacts import layers
from kinky.embedded import kubevirt, kubevirt_images, store
from kinky.embedded.layout import Layout
from kinky.embedded.machine import Record
from kinky.nodeimage import build
from kinky.releases import default_release

ROOT = Path(__file__).resolve().parents[2]
RECORD = {"reference": "kinky.internal/node:v1", "kubernetesVersion": "v1", "contentHash": "0123", "images": ["pause"]}


def make_image() -> Path:
    folder = paths.node_image_dir() / "0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "image.json").write_text(json.dumps(RECORD))
    for name in ("disk.qcow2", "image.tar", "record.json"):
        (folder / name).write_text(name)
    build._make_current(folder, default_release())
    return folder


def move_cache(monkeypatch: pytest.MonkeyPatch, to: Path) -> Path:
    old = paths.cache_dir()
    shutil.move(old, to)
    monkeypatch.setenv("KINKY_CACHE_DIR", str(to))
    return old


def test_fault_22_the_node_image_is_found_where_the_cache_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image()
    old = move_cache(monkeypatch, tmp_path / "elsewhere")
    image = build.current_node_image(default_release())
    assert image.directory == tmp_path / "elsewhere/node-image/0123456789abcdef"
    assert image.record.is_file()
    assert store.current_node_images() == {RECORD["reference"]: image.archive}
    assert not old.exists()


def test_fault_22_no_record_of_an_image_names_a_place() -> None:
    folder = make_image()
    for record in (folder / "image.json", paths.current_node_image(default_release().name)):
        assert str(paths.cache_dir()) not in record.read_text()


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "host")
    made.root.mkdir()
    return made


def test_fault_22_the_host_is_not_given_its_images_again(
    place: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported: list[Path] = []
    monkeypatch.setattr(store, "import_archive", lambda _record, archive, _references: imported.append(archive))
    monkeypatch.setattr(store, "list_images", lambda _record: frozenset({"image"}))
    record, marker = Record(1, 1, 1.0), place.root / "images-imported"

    def ensure() -> bool:
        archive = layers.images_dir() / "kubevirt-v1-0123/images.tar"
        return store.ensure_imported(record, archive, ["image"], marker=marker)

    archive = layers.images_dir() / "kubevirt-v1-0123/images.tar"
    archive.parent.mkdir()
    archive.write_text("content")
    assert ensure()
    assert not ensure()
    move_cache(monkeypatch, tmp_path / "elsewhere")
    assert not ensure()
    assert len(imported) == 1
    # Other content has another key, or another time.
    os.utime(paths.cache_dir() / "images/kubevirt-v1-0123/images.tar", (1, 1))
    assert ensure()


def test_fault_22_kubevirt_is_not_installed_again(
    place: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied: list[str] = []
    monkeypatch.setattr(kubevirt_images, "version", lambda: "v1.7.0")
    monkeypatch.setattr(kubevirt, "is_applied", lambda _place: True)
    monkeypatch.setattr(kubevirt.cluster, "kubectl", lambda *_, reason: applied.append(reason))
    monkeypatch.setattr(kubevirt.cluster, "apply", lambda *_, **__: None)
    manifest = layers.images_dir() / "manifest-v1.7.0/operator.yaml"
    manifest.parent.mkdir()
    manifest.write_text("kind: List")
    kubevirt._install_operator(place)
    move_cache(monkeypatch, tmp_path / "elsewhere")
    kubevirt._install_operator(place)
    assert applied == ["install KubeVirt's operator"]


def test_fault_22_the_images_of_kubevirt_keep_their_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def make(work: Path, _programs: object, _base: object) -> None:
        (work / "images.tar").write_text("content")
        made.append(work)

    def base() -> Path:
        return layers.images_dir() / "base-0123/layer.tar"

    program = tmp_path / "program"
    program.write_text("program")
    monkeypatch.setattr(kubevirt_images.tools, "ensure_tools", lambda names: dict.fromkeys(names, program))
    monkeypatch.setattr(layers, "ensure_base_layer", base)
    monkeypatch.setattr(kubevirt_images, "_build", make)
    before = kubevirt_images.ensure_bundle()
    move_cache(monkeypatch, tmp_path / "elsewhere")
    after = kubevirt_images.ensure_bundle()
    assert len(made) == 1
    assert after.archive != before.archive
    assert after.archive.read_text() == "content"


def test_fault_22_a_user_without_root_reads_a_cache_that_root_filled_and_moved(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, as another user where that is allowed."""
    make_image()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    move_cache(monkeypatch, elsewhere / "cache")
    program = (
        "from kinky.nodeimage.build import current_node_image; from kinky.releases import default_release; "
        "print(current_node_image(default_release()).directory)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(elsewhere / "cache/node-image/0123456789abcdef")
