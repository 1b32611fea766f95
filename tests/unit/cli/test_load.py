"""`kinky load`: what is refused before anything is sent, and the pod that it sends through."""

import io
from pathlib import Path

import pytest

from kinky.cli import load
from kinky.cli.main import main
from kinky.config.load import load_config
from kinky.manifests import image_loader
from tests.unit.image_archives import write_oci


@pytest.mark.parametrize("content", [None, b"", b"no tar"])
def test_what_is_no_archive_is_refused_before_the_stack_is_read(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "image.tar"
    if content is not None:
        file.write_bytes(content)
    assert main(["load", str(file), "--stack", "absent"]) == 1
    told = capsys.readouterr().err
    assert str(file) in told
    assert ("is no tar archive" if content is not None else "No such file") in told
    assert "absent" not in told.splitlines()[1:]


def test_the_pod_sees_containerd_and_its_client_and_nothing_else() -> None:
    config = load_config({"cluster": {"name": "t"}, "host": {"embedded": True}}, source="test")
    body = image_loader.build_loader(config, "t-worker-0")
    assert body["spec"]["nodeName"] == "t-worker-0"
    paths = {volume["hostPath"]["path"] for volume in body["spec"]["volumes"]}
    assert paths == {"/usr/bin/ctr", "/run/containerd/containerd.sock"}
    (container,) = body["spec"]["containers"]
    assert container["image"] == config.release.system_images["pause"]


def test_standard_input_is_read_as_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_oci(tmp_path / "a.tar")
    loaded: list[bytes] = []
    monkeypatch.setattr(load, "_find_nodes", lambda _file, _asked: None)
    monkeypatch.setattr(
        "kinky.images.load.load_images",
        lambda _nodes, archive, **_options: loaded.append(archive.path.read_bytes()),
    )
    with file.open("rb") as given:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(given))
        assert main(["load", "-", str(file), "--stack", "dev"]) == 0
    assert loaded == [file.read_bytes()] * 2
    assert main(["load", "-", "-"]) == 64
    assert "only once" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--list", "a.tar"]])
def test_either_archives_or_a_list(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", *arguments, "--stack", "absent"]) == 64
    assert "give archives, or --list" in capsys.readouterr().err
