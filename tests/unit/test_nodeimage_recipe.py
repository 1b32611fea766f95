"""What names an image, and the recipe's own consistency."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from kinky.errors import KinkyError
from kinky.manifests.addons import kube_proxy
from kinky.nodeimage import boot, build, crds, debian, recipe, rootfs
from kinky.releases import default_release, find_release
from kinky.stacks.file import read_stack_file

RELEASE = default_release()


def test_content_hash_ignores_order_and_sees_each_value() -> None:
    parts = {"a": "1", "b": "2"}
    assert recipe.content_hash(parts) == recipe.content_hash(dict(reversed(parts.items())))
    assert recipe.content_hash(parts) != recipe.content_hash({"a": "1", "b": "3"})


def test_tree_hash_sees_content_name_and_executable_bit(tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text("x")
    file.chmod(0o644)
    seen = {recipe.hash_tree(tmp_path)}
    file.chmod(0o755)
    seen.add(recipe.hash_tree(tmp_path))
    file.write_text("y")
    seen.add(recipe.hash_tree(tmp_path))
    file.rename(tmp_path / "other")
    seen.add(recipe.hash_tree(tmp_path))
    assert len(seen) == 4


@pytest.mark.parametrize("name", ["packages-rootfs.txt", "packages-build.txt"])
def test_every_package_has_a_reason(name: str) -> None:
    lines = (recipe.recipe_dir() / name).read_text().splitlines()[1:]
    assert all(re.fullmatch(r"[a-z0-9.+-]+\s+# .{5,}", line) for line in lines)


def test_runtime_pins_the_pause_image_that_is_preloaded(tmp_path: Path) -> None:
    rootfs.copy_files(recipe.recipe_dir() / "files", tmp_path)
    rootfs._write_versions(tmp_path, RELEASE)
    config = tomllib.loads((tmp_path / "etc/containerd/config.toml").read_text())
    pinned = config["plugins"]["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"]
    assert pinned == RELEASE.system_images["pause"]
    assert rootfs.PAUSE_MARK not in (tmp_path / "etc/containerd/config.toml").read_text()
    assert (tmp_path / "usr/lib/kinky/kubernetes-version").read_text() == f"{RELEASE.kubernetes_version}\n"


def test_a_guest_without_rights_over_the_kernel_starts_pods_and_services() -> None:
    """A container may neither lower an OOM score nor write the limit of connections, which VMs get from the image."""
    files = recipe.recipe_dir() / "files/etc"
    plugins = tomllib.loads((files / "containerd/config.toml").read_text())["plugins"]
    assert plugins["io.containerd.cri.v1.runtime"]["restrict_oom_score_adj"] is True
    configuration = kube_proxy.build_kube_proxy(read_stack_file("dev").config)[2]["data"]["config.conf"]
    assert json.loads(configuration)["conntrack"] == {"maxPerCore": 0, "min": 0}
    assert "\nnet.netfilter.nf_conntrack_max = 131072\n" in (files / "sysctl.d/90-kinky.conf").read_text()
    assert "nf_conntrack" in (files / "modules-load.d/kinky.conf").read_text().split()


def test_enabled_units_are_not_masked() -> None:
    masked = debian.parse_package_list((recipe.recipe_dir() / "units-masked.txt").read_text())
    listed = debian.parse_package_list((recipe.recipe_dir() / "units-enabled.txt").read_text())
    enabled = [line.split()[1] for line in listed]
    assert not set(masked) & set(enabled)
    assert len(set(masked)) == len(masked)


def test_patches_are_kubeadm_patches_for_its_components() -> None:
    for path in (recipe.recipe_dir() / "files/usr/lib/kinky").glob("patches*/*+strategic.yaml"):
        component = path.name.removesuffix("+strategic.yaml").rstrip("0123456789")
        patch = yaml.safe_load(path.read_text())
        if component == "kubeletconfiguration":
            assert patch["kind"] == "KubeletConfiguration"
        else:
            assert patch["spec"]["containers"][0]["name"] == component


def test_modules_load_after_what_they_need() -> None:
    table = "a/overlay.ko: b/second.ko c/first.ko\nb/second.ko: c/first.ko\nc/first.ko:\n"
    assert boot.load_order(table, ("overlay", "builtin")) == ["c/first.ko", "b/second.ko", "a/overlay.ko"]


def test_definitions_keep_what_the_program_serves() -> None:
    providers = {name: {"type": "object"} for name in ("aws", "fake", "kubernetes", "vault")}
    properties = {
        "description": {"type": "string", "description": "text"},
        "provider": {"type": "object", "description": "text", "properties": providers},
    }

    def version(name: str, *, served: bool) -> dict[str, object]:
        schema = {"properties": {"spec": {"properties": properties}}}
        return {"name": name, "served": served, "schema": {"openAPIV3Schema": schema}}

    definition = {"spec": {"versions": [version("v1", served=True), version("v1beta1", served=False)]}}
    (kept,) = crds.cut_definition(definition)["spec"]["versions"]
    assert kept["name"] == "v1"
    spec = kept["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert spec["description"] == {"type": "string"}
    assert sorted(spec["provider"]["properties"]) == ["kubernetes", "vault"]


def test_without_an_image_the_message_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINKY_CACHE_DIR", str(tmp_path))
    with pytest.raises(build.KinkyError, match=r"no node image of release v1\.35 \(Kubernetes v1\.35\.") as error:
        build.current_node_image(find_release("v1.35"))
    assert "kinky image build --release v1.35" in str(error.value)


def test_files_of_an_operator_replace_ours_and_keep_links_and_programs(tmp_path: Path) -> None:
    ours, added, root = tmp_path / "ours", tmp_path / "added", tmp_path / "root"
    for folder in (ours / "etc", added / "etc", added / "usr/bin", root):
        folder.mkdir(parents=True)
    (ours / "etc/text").write_text("ours")
    (added / "etc/text").write_text("mine")
    (added / "etc/text").chmod(0o600)
    (added / "usr/bin/program").write_bytes(b"\x7fELF")
    (added / "usr/bin/program").chmod(0o700)
    (added / "etc/link").symlink_to("../absent")
    for source in (ours, added):
        rootfs.copy_files(source, root)
    assert (root / "etc/text").read_text() == "mine"
    modes = [(root / name).stat().st_mode & 0o777 for name in ("etc/text", "usr/bin/program")]
    assert modes == [0o644, 0o755]
    assert (root / "etc/link").readlink() == Path("../absent")


@pytest.mark.parametrize("kind", ["absent", "empty", "file"])
def test_nothing_to_add_is_named_before_anything_is_built(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = tmp_path / "added"
    if kind == "empty":
        added.mkdir()
    elif kind == "file":
        added.write_text("x")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(KinkyError, match=f"^cannot add files to the node image: {added} is not a folder with files"):
        build.build_node_image(
            RELEASE, tools=lambda name: tmp_path / name, modules=lambda name: tmp_path / name, added=added
        )
