"""`kinky load`: what is refused before anything is sent, and the pod that it sends through."""

from pathlib import Path

import pytest

from kinky.cli.main import main
from kinky.config.load import load_config
from kinky.manifests import image_loader


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
