"""The check of a declared image archive."""

import io
import json
import tarfile
from pathlib import Path

from kinky.config.archive import VERSION_LABEL, check_archive
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.releases import default_release

DEFAULT = default_release().kubernetes_version


def config(archive: str) -> KinkyConfig:
    raw = {"cluster": {"name": "dev"}, "host": {"embedded": True}, "image": {"archive": archive}}
    return load_config(raw, source="test")


def write(path: Path, files: dict[str, object]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def messages(base: Path) -> list[str]:
    return [str(problem).replace(str(base), "BASE") for problem in check_archive(config("image.tar"), base=base)]


def image(labels: dict[str, str] | None) -> dict[str, object]:
    return {"manifest.json": [{"Config": "c.json", "Layers": []}], "c.json": {"config": {"Labels": labels}}}


def test_no_archive_no_problem(tmp_path: Path) -> None:
    cfg = load_config({"cluster": {"name": "dev"}, "host": {"embedded": True}}, source="test")
    assert check_archive(cfg, base=tmp_path) == []


def test_the_right_version(tmp_path: Path) -> None:
    write(tmp_path / "image.tar", image({VERSION_LABEL: DEFAULT}))
    assert messages(tmp_path) == []


def test_a_missing_file(tmp_path: Path) -> None:
    assert messages(tmp_path) == ['image.archive = "image.tar": there is no such file: BASE/image.tar']


def test_another_version(tmp_path: Path) -> None:
    write(tmp_path / "image.tar", image({VERSION_LABEL: "v1.35.1"}))
    assert messages(tmp_path) == [
        f'image.archive = "image.tar": holds Kubernetes v1.35.1, but cluster.kubernetesVersion is {DEFAULT}'
    ]


def test_another_image(tmp_path: Path) -> None:
    write(tmp_path / "image.tar", image(None))
    assert messages(tmp_path) == [
        'image.archive = "image.tar": is not a node image: it has no label dev.kinky.kubernetes-version'
    ]


def test_no_image_at_all(tmp_path: Path) -> None:
    for content in (b"text", b""):
        (tmp_path / "image.tar").write_bytes(content)
        assert "is not a readable image archive" in messages(tmp_path)[0]
    for files in ({"a": 1}, {"manifest.json": []}, {"manifest.json": [{"Layers": []}]}, {"manifest.json": 1}):
        write(tmp_path / "image.tar", files)
        assert "is not a readable image archive" in messages(tmp_path)[0]
