"""A machine learns a node image from an archive of it, by the reference that the stack file names."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kinky import paths, program
from kinky.cli import main
from kinky.errors import KinkyError
from kinky.nodeimage import build, containerdisk, index
from kinky.nodeimage.record import PLACE, build_record, parse_record
from kinky.releases import default_release
from tests.unit.documents import PLAIN_KUBECONFIG

VERSION = default_release().kubernetes_version
BUILT = f"kinky.internal/node:{VERSION}-0123456789ab"
PUSHED = "registry.example/kinky/node:v1"
STACK = "organization/kinky/dev"


def make_record(content_hash: str = "ab" * 32) -> bytes:
    held: dict[str, Any] = {
        "reference": BUILT,
        "kubernetesVersion": VERSION,
        "contentHash": content_hash,
        "images": ["kinky.internal/pause:3"],
        "definitions": [{"kind": "CustomResourceDefinition", "metadata": {"name": "x"}}],
        "cloudConfigSchema": {"a": 1},
        "networkDataSchema": {"b": 2},
    }
    return json.dumps(held).encode()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """What `kinky image build` writes."""
    return write(tmp_path / "image.tar")


def write(target: Path, *, record: bytes | None = None) -> Path:
    disk = target.with_name("disk.qcow2")
    disk.write_bytes(b"QFI\xfb" + bytes(5000))
    containerdisk.write_containerdisk(
        target,
        disk=disk,
        record=record or make_record(),
        reference=BUILT,
        version=VERSION,
        content_hash=str(json.loads(record or make_record())["contentHash"]),
    )
    return target


def rewrite(source: Path, target: Path, *, tags: Sequence[str] | None, layers: str = "") -> Path:
    """Write the archive again as other tools do: with other names, other members, compressed layers, `./` in paths."""
    with tarfile.open(source) as old:
        held = {member.name: old.extractfile(member).read() for member in old}  # type: ignore[union-attr]
    (manifest,) = json.loads(held.pop("manifest.json"))
    names = {"config.json": f"blobs/sha256/{'c' * 64}"}
    for number, name in enumerate(manifest["Layers"]):
        names[name] = f"blobs/sha256/{number:064d}"
        held[name] = gzip.compress(held[name]) if layers == "gz" else held[name]
    manifest |= {"Config": names["config.json"], "Layers": [names[each] for each in manifest["Layers"]]}
    manifest["RepoTags"] = None if tags is None else list(tags)
    members = {names[name]: body for name, body in held.items()} | {"manifest.json": json.dumps([manifest]).encode()}
    with tarfile.open(target, "w:gz" if target.suffix == ".gz" else "w") as new:
        for name, body in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            new.addfile(member, io.BytesIO(body))
    return target


def test_fault_19_a_machine_on_which_nothing_was_built_learns_the_image(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["image", "add", str(archive), "--reference", PUSHED]) == 0
    assert capsys.readouterr().out == f"{PUSHED}\n"
    found = index.find_record(PUSHED)
    assert found == parse_record(make_record())
    assert found.definitions[0]["metadata"] == {"name": "x"} and found.cloud_init_schemas.network_data == {"b": 2}
    with pytest.raises(KinkyError):
        build.current_node_image(default_release())


@pytest.mark.parametrize("layers", ["", "gz"])
@pytest.mark.parametrize("name", ["saved.tar", "saved.tar.gz"])
def test_fault_19_an_archive_of_another_tool_is_read(archive: Path, tmp_path: Path, name: str, layers: str) -> None:
    saved = rewrite(archive, tmp_path / name, tags=[PUSHED, "other.example/node:v2"], layers=layers)
    assert index.add_archive(saved) == ["other.example/node:v2", PUSHED]
    assert list(index.list_records()) == ["other.example/node:v2", PUSHED]


def test_fault_19_an_archive_without_a_name_needs_one(archive: Path, tmp_path: Path) -> None:
    saved = rewrite(archive, tmp_path / "saved.tar", tags=None)
    with pytest.raises(KinkyError, match="does not name its image") as error:
        index.add_archive(saved)
    assert "--reference" in str(error.value)
    assert index.add_archive(saved, reference=PUSHED) == [PUSHED]


def test_fault_19_a_layer_that_a_tool_has_merged_is_searched_too(tmp_path: Path) -> None:
    source = tmp_path / "tree"
    for name, body in ((f"{PLACE}", make_record()), ("disk/disk.qcow2", bytes(100_000))):
        (source / name).parent.mkdir(parents=True)
        (source / name).write_bytes(body)
    (tmp_path / "c.json").write_text("{}")
    subprocess.run(["tar", "-C", source, "-cf", tmp_path / "layer.tar", "."], check=True)
    (tmp_path / "manifest.json").write_text(json.dumps([{"Config": "c.json", "Layers": ["layer.tar"]}]))
    members = ["manifest.json", "c.json", "layer.tar"]
    subprocess.run(["tar", "-C", tmp_path, "-cf", tmp_path / "image.tar", *members], check=True)
    assert index.read_archive(tmp_path / "image.tar")[0] == make_record()


def test_fault_19_an_unknown_reference_is_one_clear_error(archive: Path) -> None:
    index.add_archive(archive)
    with pytest.raises(KinkyError) as error:
        index.find_record(PUSHED)
    assert str(error.value).splitlines() == [
        f"node image {PUSHED}: this machine has no record of it",
        f"  known here: {BUILT}",
        "  its registry: there is no crane to ask it",
        f"hint: kinky image pull {PUSHED} reads it from the registry; kinky image add ARCHIVE --reference {PUSHED} "
        "and image.archive in the stack file read it from an archive",
    ]


def test_fault_19_a_reference_with_other_content_is_replaced_with_a_note(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for reference in (PUSHED, PUSHED, "registry.example/kinky/node:same"):
        index.add_archive(archive, reference=reference)
    assert capsys.readouterr().err == ""
    index.add_archive(write(tmp_path / "second.tar", record=make_record("cd" * 32)), reference=PUSHED)
    assert f"node image {PUSHED}: was abababababab, is cdcdcdcdcdcd now" in capsys.readouterr().err
    assert index.find_record(PUSHED).content_hash == "cd" * 32
    assert index.find_record("registry.example/kinky/node:same").content_hash == "ab" * 32


def test_fault_19_an_archive_of_several_images_is_asked_by_name(archive: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.tar", record=make_record("cd" * 32))
    both = tmp_path / "both.tar"
    entries = []
    with tarfile.open(both, "w") as target:
        for number, source in enumerate((archive, other)):
            with tarfile.open(source) as content:
                for member in content.getmembers():
                    body = content.extractfile(member).read()  # type: ignore[union-attr]
                    if member.name == "manifest.json":
                        (entry,) = json.loads(body)
                        entry |= {
                            "Config": f"{number}/{entry['Config']}",
                            "Layers": [f"{number}/{each}" for each in entry["Layers"]],
                            "RepoTags": [f"registry.example/node:v{number}"],
                        }
                        entries.append(entry)
                        continue
                    member.name = f"{number}/{member.name}"
                    target.addfile(member, io.BytesIO(body))
        listed = json.dumps(entries).encode()
        member = tarfile.TarInfo("manifest.json")
        member.size = len(listed)
        target.addfile(member, io.BytesIO(listed))
    with pytest.raises(KinkyError, match="holds several node images"):
        index.add_archive(both)
    index.add_archive(both, reference="registry.example/node:v1")
    assert index.find_record("registry.example/node:v1").content_hash == "cd" * 32


@pytest.mark.parametrize("damage", ["absent", "empty", "text", "cut", "folder", "no record", "bad record"])
def test_fault_19_what_is_no_archive_of_a_node_image_is_one_error(archive: Path, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "damaged.tar"
    if damage == "folder":
        file.mkdir()
    elif damage == "no record":
        with tarfile.open(file, "w") as target:
            for name, text in (("manifest.json", '[{"Config": "c"}]'), ("c", "{}")):
                member = tarfile.TarInfo(name)
                member.size = len(text)
                target.addfile(member, io.BytesIO(text.encode()))
    elif damage == "bad record":
        write(file, record=b'{"contentHash": "00"}')
    elif damage != "absent":
        whole = rewrite(archive, tmp_path / "whole.tar.gz", tags=None).read_bytes()
        file.write_bytes({"empty": b"", "text": b"text" * 300, "cut": whole[: len(whole) // 2]}[damage])
    with pytest.raises(KinkyError, match=r"archive|holds no node image"):
        index.read_archive(file)


def test_fault_19_a_damaged_record_is_one_error(archive: Path) -> None:
    index.add_archive(archive, reference=PUSHED)
    (file,) = (paths.node_image_dir() / "references").iterdir()
    for text in ("", "[]", '{"reference": "x"', '{"reference": "x", "definitions": 3}'):
        file.write_text(text)
        assert index.list_records() == {}
        with pytest.raises(KinkyError, match="its record cannot be read"):
            index.find_record(PUSHED)


def test_fault_19_the_program_takes_the_configured_image_not_the_one_that_was_built_last(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`prepare` goes on to the host with the record of the configured reference."""
    seen = []
    kubeconfig = tmp_path / "host.yaml"
    kubeconfig.write_text(PLAIN_KUBECONFIG)

    def check_fit(*_args: object, image_kubernetes_version: str, **_named: object) -> None:
        seen.append(image_kubernetes_version)
        raise KinkyError("far enough")

    monkeypatch.setattr(program, "check_fit", check_fit)
    monkeypatch.setattr(program, "find_program", lambda _name: None)
    raw = {
        "cluster": {"name": "dev"},
        "host": {"kubeconfig": str(kubeconfig), "acceptUnencryptedAtRest": True},
        "image": {"reference": PUSHED, "pullPolicy": "Never"},
    }
    with pytest.raises(KinkyError, match="has no record of it"):
        program.prepare(raw, source="test", stack=STACK)
    with pytest.raises(KinkyError, match="far enough"):
        program.prepare(
            {**raw, "image": {"reference": PUSHED, "archive": str(archive)}},
            source="test",
            stack="organization/kinky/dev",
        )
    assert not list((paths.cache_dir() / "node-image").rglob("*.json")), "a preview writes nothing"
    index.add_archive(archive, reference=PUSHED)
    with pytest.raises(KinkyError, match="far enough"):
        program.prepare(raw, source="test", stack=STACK)
    assert seen == [VERSION] * 2


def test_fault_19_the_record_holds_what_the_build_left(tmp_path: Path) -> None:
    for name, text in (
        ("external-secrets-crds", '[{"kind": "CustomResourceDefinition"}]'),
        ("cloud-config-schema", '{"c": 1}'),
        ("network-data-schema", '{"n": 2}'),
    ):
        (tmp_path / f"{name}.json").write_text(text)
    image = {"reference": BUILT, "kubernetesVersion": VERSION, "contentHash": "ab", "images": ["x"]}
    record = parse_record(build_record(image, parts=tmp_path))
    assert (record.definitions, record.images) == ([{"kind": "CustomResourceDefinition"}], ("x",))
    assert record.cloud_init_schemas.cloud_config == {"c": 1}


@pytest.mark.parametrize("reference", ["Node:v1", "node", "", "registry.example/node:v1 "])
def test_fault_19_only_a_reference_that_a_stack_file_may_name_is_learnt(
    archive: Path, reference: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["image", "add", str(archive), "--reference", reference]) != 0
    assert "not a reference of an image" in capsys.readouterr().err


def test_list_prints_what_is_known(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["image", "list"]) == 0
    index.add_archive(archive)
    assert main.main(["image", "list"]) == 0
    assert capsys.readouterr().out.split() == [BUILT, VERSION, "ab" * 32]
