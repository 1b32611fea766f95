"""Releases are data: each version has one place, and each release has its programs, its image and its manifests."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from kinky import paths, program
from kinky.cli import main
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.embedded import store
from kinky.errors import KinkyError
from kinky.nodeimage import build, index, recipe
from kinky.releases import Release, default_release, find_by_kubernetes, find_release, list_releases
from kinky.toolchain import tools
from tests.golden.cases import render_files
from tests.unit.documents import PLAIN_KUBECONFIG

ROOT = paths.project_root()
RELEASES = list_releases()
each_release = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
RUNS = ("kinky", "node-image", "toolchain", "templates", "setup", "embedded-host", "tests/e2e", "tests/conformance")
"""Folders whose files run, or decide what runs; a stack file chooses, and the rest is prose, examples and tests."""


def make_config(release: Release, **sections: Any) -> KinkyConfig:
    raw = {"cluster": {"name": "t", "kubernetesVersion": release.kubernetes_version}, "host": {"embedded": True}}
    return load_config({**raw, **sections}, source="test")


def make_image(release: Release, content_hash: str) -> str:
    """Put what a build leaves of an image into the cache, and return its reference."""
    folder = paths.node_image_dir() / content_hash
    folder.mkdir(parents=True)
    described = {
        "reference": f"kinky.internal/node:{release.kubernetes_version}-{content_hash}",
        "kubernetesVersion": release.kubernetes_version,
        "contentHash": content_hash,
        "images": list(release.system_images.values()),
    }
    (folder / "image.json").write_text(json.dumps(described))
    (folder / "image.tar").write_text("image")
    parts = {"definitions": [], "cloudConfigSchema": {}, "networkDataSchema": {}}
    image = build._make_current(folder, release)
    index.save_record(image.reference, json.dumps({**described, **parts}).encode())
    return image.reference


def test_one_release_is_the_default_and_each_is_called_by_its_kubernetes() -> None:
    assert [release.default for release in RELEASES].count(True) == 1
    assert len({release.kubernetes_version for release in RELEASES}) == len(RELEASES) >= 2
    for release in RELEASES:
        assert release.name == release.kubernetes_version.rpartition(".")[0]
        assert find_release(release.name) is find_by_kubernetes(release.kubernetes_version) is release
    assert find_release(None) is default_release()
    minors = [int(release.name.rpartition(".")[2]) for release in RELEASES]
    assert minors == sorted(minors, reverse=True)


def test_an_unknown_release_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["tools"], ["image", "build"], ["image", "show"]):
        assert main.main([*command, "--release", "v1.29"]) == 64
        told = capsys.readouterr().err
        assert 'no release "v1.29"' in told
        assert ", ".join(release.name for release in RELEASES) in told


def test_each_version_has_one_place() -> None:
    """A tool's version is in tools.toml or in the releases; what runs repeats no version of a release."""
    tables = tomllib.loads((ROOT / "toolchain/tools.toml").read_text())
    for release in RELEASES:
        assert set(release.tools) == {name for name, table in tables.items() if "version" not in table}
    versions = {pin.version for release in RELEASES for pin in release.tools.values()}
    versions |= {release.images["pause"] for release in RELEASES}
    found = "|".join(re.escape(version.removeprefix("v")) for version in versions)
    said = re.compile(rf"(?<![\d.])({found})(?![\d.]*\d)")
    files = [ROOT / "Makefile", *(file for folder in RUNS for file in (ROOT / folder).rglob("*") if file.is_file())]
    # Go's own files are compared with the releases below.
    read = [file for file in files if file.name not in ("go.mod", "go.sum") and "__pycache__" not in file.parts]
    assert [str(file) for file in read if said.search(file.read_text())] == []


@each_release
def test_the_module_of_each_tool_is_pinned_to_the_version_of_the_release(release: Release) -> None:
    for tool in tools.load_tools(release).values():
        # A module with a sum is replaced by an edited copy, which has no version.
        if not tool.script and not tool.sum:
            text = (tool.directory / "go.mod").read_text()
            assert re.search(rf"(?m)^(require )?\t?{re.escape(f'{tool.module} {tool.version}')}\b", text), tool.name


def test_the_conformance_suite_is_that_of_the_default_release() -> None:
    text = (ROOT / "tests/conformance/suite/go.mod").read_text()
    assert f"k8s.io/kubernetes {default_release().kubernetes_version}\n" in text.replace(" // indirect", "")


def test_the_default_release_is_what_a_program_gets_that_names_none() -> None:
    assert tools.load_tools() == tools.load_tools(default_release())
    assert load_config({"cluster": {"name": "t"}, "host": {"embedded": True}}, source="test").release.default


def test_releases_share_each_tool_of_which_they_have_one_version() -> None:
    """The key decides where a tool is kept, so equal keys are built once."""
    newest, other = (tools.load_tools(release) for release in RELEASES[:2])
    differing = {name for name in newest if newest[name].cache != other[name].cache}
    assert differing == {"kubernetes"}


@each_release
def test_a_node_holds_the_images_of_its_release(release: Release) -> None:
    assert {image.name for image in recipe.SYSTEM_IMAGES} == set(release.system_images)
    assert len(set(release.system_images.values())) == len(release.system_images)
    assert all(image.startswith("kinky.internal/") for image in release.system_images.values())


@each_release
def test_all_that_a_cluster_runs_is_in_the_image_of_its_release(release: Release) -> None:
    files = render_files(make_config(release))
    used = set(re.findall(r"image: (\S+)", files["inner.yaml"]))
    assert used < set(release.system_images.values()) and len(used) == 5
    settings = next(
        document
        for document in yaml.safe_load_all(files["nodes/t-control-plane-0.kubeadm.yaml"])
        if document["kind"] == "ClusterConfiguration"
    )
    assert settings["kubernetesVersion"] == release.kubernetes_version
    etcd = f"{settings['imageRepository']}/etcd:{settings['etcd']['local']['imageTag']}"
    assert etcd == release.system_images["etcd"]
    assert f'"kubernetesVersion": "{release.kubernetes_version}"' in files["nodes/t-worker-0.user-data.yaml"]


def test_another_release_is_another_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if a program of both were the same to the byte: the image holds other names."""
    (tmp_path / "program").write_text("same")
    (tmp_path / "versions.txt").write_text("same")
    hashes = {
        recipe.content_hash(build._inputs(release, tmp_path, lambda _name: tmp_path / "program", None))
        for release in RELEASES
    }
    assert len(hashes) == len(RELEASES)


def test_images_of_all_releases_are_in_one_cache_and_on_one_host(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {make_image(release, f"{number:016d}"): release for number, release in enumerate(RELEASES)}
    assert {build.current_node_image(release).reference: release for release in RELEASES} == made
    assert {name: record.kubernetes_version for name, record in index.list_records().items()} == {
        reference: release.kubernetes_version for reference, release in made.items()
    }
    imported: list[str] = []
    there = next(iter(made))
    monkeypatch.setattr(store, "list_images", lambda _record: frozenset({there}))
    monkeypatch.setattr(store, "import_archive", lambda _record, _archive, references: imported.extend(references))
    current = store.ensure_node_images(store.Record(1, 1, 1.0))
    assert set(current) == set(made) and set(imported) == set(made) - {there}
    assert store.unused_images([*made, "kinky.internal/node:old"], current=current, objects="") == [
        "kinky.internal/node:old"
    ]


def test_the_program_takes_the_image_of_the_stacks_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one that was built last."""
    seen: list[str] = []
    kubeconfig = tmp_path / "host.yaml"
    kubeconfig.write_text(PLAIN_KUBECONFIG)
    monkeypatch.setattr(paths, "host_kubeconfig", lambda: kubeconfig)

    def check_fit(*_args: object, image_kubernetes_version: str, **_named: object) -> None:
        seen.append(image_kubernetes_version)
        raise KinkyError("far enough")

    monkeypatch.setattr(program, "check_fit", check_fit)

    def prepare(release: Release) -> None:
        cluster = {"name": "t", "kubernetesVersion": release.kubernetes_version}
        program.prepare({"cluster": cluster, "host": {"embedded": True}}, source="test", stack="o/p/t")

    newest, other = RELEASES[:2]
    make_image(newest, "0" * 16)
    with pytest.raises(KinkyError, match=f"no node image of release {other.name}"):
        prepare(other)
    make_image(other, "1" * 16)
    for release in (newest, other):
        with pytest.raises(KinkyError, match="far enough"):
            prepare(release)
    assert seen == [newest.kubernetes_version, other.kubernetes_version]
