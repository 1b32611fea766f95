"""A node image in a real registry on loopback: pushed, found by its reference alone, and refused without a record."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinky import paths
from kinky.artefacts.registry import push, read_small_layers
from kinky.cli import main
from kinky.errors import CommandError, KinkyError
from kinky.nodeimage import index
from kinky.toolchain.tools import find_program
from tests.api import registry_door
from tests.api.registry_door import Door
from tests.api.server import find_port
from tests.unit.image_archives import digest_of, encode, write_tar
from tests.unit.test_fault_19_index import BUILT, make_record, write

NAME = "kinky/node:v1"


@pytest.fixture(scope="module")
def crane() -> Path:
    found = find_program("crane")
    if found is None:
        pytest.skip("not built: crane; kinky tools --ensure crane builds it")
    return found


@pytest.fixture(scope="module")
def registry(crane: Path) -> Iterator[str]:
    """Run the registry that crane brings, and return its address."""
    address = f"127.0.0.1:{find_port()}"
    command: list[str | Path] = [crane, "registry", "serve", "--address", address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            assert "serving" in running.stderr.readline()
            yield address
        finally:
            running.terminate()


@pytest.fixture(autouse=True)
def own_cache(crane: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without any record; crane was found before, in the real cache."""
    monkeypatch.setenv("PATH", str(crane.parent), prepend=":")
    monkeypatch.setenv("KINKY_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write(tmp_path / "image.tar")


def test_a_pushed_image_is_found_by_its_reference_alone(registry: str, archive: Path, crane: Path) -> None:
    reference = f"{registry}/{NAME}"
    assert main.main(["image", "push", reference, "--archive", str(archive)]) == 0
    found = index.find_record(reference, layers=lambda name: read_small_layers(name, crane=crane))
    assert found.content_hash == "ab" * 32
    assert not paths.node_image_dir().exists(), "a stack that asks the registry writes nothing"


def test_a_pushed_image_is_found_by_its_digest(registry: str, archive: Path, crane: Path) -> None:
    pushed = push(archive, f"{registry}/{NAME}", crane=crane)
    assert pushed.startswith(f"{registry}/kinky/node@sha256:")
    assert index.read_layers(pushed, read_small_layers(pushed, crane=crane)) == make_record()


def test_pull_keeps_the_record_for_a_time_without_the_registry(
    registry: str, archive: Path, crane: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = f"{registry}/{NAME}"
    push(archive, reference, crane=crane)
    assert main.main(["image", "pull", reference]) == 0
    assert capsys.readouterr().out.strip() == reference
    assert index.find_record(reference).content_hash == "ab" * 32


def test_the_layers_arrive_as_they_were(registry: str, archive: Path, crane: Path) -> None:
    """The disk is compressed in the archive, the record is not; containerd unpacks by these types."""
    pushed = push(archive, f"{registry}/{NAME}", crane=crane)
    manifest = json.loads(subprocess.check_output([crane, "manifest", pushed]))
    kinds = [layer["mediaType"].rpartition(".")[2] for layer in manifest["layers"]]
    assert kinds == ["tar", "tar+zstd"]
    for layer in manifest["layers"]:
        blob = subprocess.check_output([crane, "blob", f"{registry}/kinky/node@{layer['digest']}"])
        assert f"sha256:{hashlib.sha256(blob).hexdigest()}" == layer["digest"]
    # crane unpacks both layers, as the runtime of a node does.
    files = subprocess.run([crane, "export", pushed, "-"], capture_output=True, check=True).stdout
    assert b"disk/disk.qcow2" in files and b"kinky/record.json" in files


def test_an_image_without_a_record_is_refused(registry: str, tmp_path: Path, crane: Path) -> None:
    layer = write_tar(tmp_path / "layer.tar", {"app": b"x"}).read_bytes()
    config = encode(
        {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]}}
    )
    entry = {"Config": "c.json", "RepoTags": [BUILT], "Layers": ["layer.tar"]}
    other = write_tar(tmp_path / "other.tar", {"manifest.json": encode([entry]), "c.json": config, "layer.tar": layer})
    reference = f"{registry}/other/app:1"
    with pytest.raises(KinkyError, match="holds no node image"):
        index.read_archive(other)
    push(other, reference, crane=crane)
    with pytest.raises(KinkyError, match="the image in the registry has no record"):
        index.read_layers(reference, read_small_layers(reference, crane=crane))


def test_an_absent_image_is_told_with_the_ways_to_get_it(registry: str, crane: Path) -> None:
    reference = f"{registry}/kinky/absent:v1"
    with pytest.raises(KinkyError) as told:
        index.find_record(reference, layers=lambda name: read_small_layers(name, crane=crane))
    assert "NAME_UNKNOWN" in "\n".join(told.value.details)
    assert f"kinky image pull {reference}" in str(told.value.hint)


def test_an_address_without_a_registry_fails(crane: Path) -> None:
    with pytest.raises(CommandError):
        list(read_small_layers(f"127.0.0.1:{find_port()}/{NAME}", crane=crane))


@pytest.fixture
def door(registry: str, tmp_path: Path) -> Iterator[Door]:
    """A door with TLS and a login before the registry."""
    with registry_door.opened(tmp_path, registry) as opened:
        yield opened


def log_in(monkeypatch: pytest.MonkeyPatch, folder: Path, address: str, password: str = registry_door.PASSWORD) -> None:
    """Write a Docker configuration as `docker login` and `crane auth login` do, and use it."""
    encoded = base64.b64encode(f"{registry_door.NAME}:{password}".encode()).decode()
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"auths": {address: {"auth": encoded}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))


def test_a_registry_with_tls_and_a_login_takes_an_image_and_tells_its_record(
    door: Door, archive: Path, crane: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(door.ca_file))
    log_in(monkeypatch, tmp_path / "docker", door.address)
    reference = f"{door.address}/{NAME}"
    assert main.main(["image", "push", reference, "--archive", str(archive)]) == 0
    assert index.find_record(reference, layers=lambda name: read_small_layers(name, crane=crane))


@pytest.mark.parametrize("password", [None, "a-wrong-password"])
def test_a_registry_that_refuses_the_login_is_told_with_how_to_log_in(
    door: Door,
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    password: str | None,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(door.ca_file))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))
    if password:
        log_in(monkeypatch, tmp_path / "docker", door.address, password)
    assert main.main(["image", "push", f"{door.address}/{NAME}", "--archive", str(archive)]) == 1
    printed = capsys.readouterr().err
    assert "401" in printed and "crane auth login" in printed
    assert not password or password not in printed


def test_a_registry_whose_ca_is_not_trusted_is_refused(
    door: Door, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log_in(monkeypatch, tmp_path / "docker", door.address)
    assert main.main(["image", "push", f"{door.address}/{NAME}", "--archive", str(archive)]) == 1
    assert "x509: certificate signed by unknown authority" in capsys.readouterr().err
