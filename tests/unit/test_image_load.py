"""`kinky load` before it sends: what an archive holds, what a node has already, whether there is room."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinky import names, process
from kinky.errors import CommandError, KinkyError
from kinky.images import load as image_load
from kinky.images.archive import read_archive
from kinky.images.load import Nodes, fetch_images, load_images
from kinky.kube.inner import InnerApi
from kinky.manifests import image_loader
from tests.unit.fake_api import FakeConnection
from tests.unit.fitting_host import make_config
from tests.unit.image_archives import config, digest_of, encode, write_docker, write_oci, write_tar

PODS = f"/api/v1/namespaces/{names.NAMESPACE_KINKY}/pods"
HEAD = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
NODES = ("t-control-plane-0", "t-worker-0")


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("app:1", "docker.io/library/app:1"),
        ("team/app:1", "docker.io/team/app:1"),
        ("localhost/app:1", "localhost/app:1"),
        ("example.test:5000/app:1", "example.test:5000/app:1"),
    ],
)
def test_an_older_archive_names_its_images_as_containerd_will(tag: str, name: str, tmp_path: Path) -> None:
    (image,) = read_archive(write_docker(tmp_path / "a.tar", tag=tag)).images
    assert (image.name, image.manifest, image.config) == (name, "", digest_of(config()))


def test_a_layout_names_its_images_and_their_manifests(tmp_path: Path) -> None:
    archive = read_archive(write_oci(tmp_path / "a.tar"))
    (image,) = archive.images
    assert (image.name, image.config) == ("example.test/app:1", digest_of(config()))
    assert image.manifest.startswith("sha256:")
    assert 0 < archive.content_bytes < 1000


@pytest.mark.parametrize("write", [write_docker, write_oci])
def test_an_image_for_other_processors_is_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(KinkyError, match="is for linux/arm64, the nodes are linux/amd64"):
        read_archive(write(tmp_path / "a.tar", architecture="arm64"))


@pytest.mark.parametrize("part", [0.3, 0.7, 0.9])
def test_an_archive_that_is_cut_off_is_refused(part: float, tmp_path: Path) -> None:
    file = write_docker(tmp_path / "a.tar", layer=b"x" * 200_000)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(KinkyError, match="is cut off"):
        read_archive(file)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"readme": b"x"}, "holds no images"),
        ({"manifest.json": b"{"}, "manifest.json is not JSON"),
        ({"manifest.json": encode([{"Tags": []}])}, "of another form|have another form"),
        ({"manifest.json": encode([{"Config": "c.json", "RepoTags": ["a:1"]}])}, "it holds no c.json"),
        ({"index.json": encode({"manifests": [{"digest": "sha256:00"}]})}, "it holds no blobs/sha256/00"),
    ],
)
def test_what_is_no_archive_of_images_is_refused(files: dict[str, bytes], told: str, tmp_path: Path) -> None:
    with pytest.raises(KinkyError, match=told):
        read_archive(write_tar(tmp_path / "a.tar", files))


class Cluster:
    """Nodes whose containerd holds images as text of `ctr`, and what was sent to which."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inner = FakeConnection()
        self.held: dict[str, str] = dict.fromkeys(NODES, "")
        self.manifests: dict[str, bytes] = {}
        self.sent: list[str] = []
        self.refusing: set[str] = set()
        for node in NODES:
            self.inner.answer("GET", f"{PODS}/{image_loader.APP}-{node}", {"status": {"phase": "Running"}})
            self.give_room(node, free=10 << 30)
        monkeypatch.setattr(process, "run", self.run)

    def give_room(self, node: str, *, free: int) -> None:
        disk = {"availableBytes": free, "capacityBytes": 10 << 30}
        self.inner.answer("GET", f"/api/v1/nodes/{node}/proxy/stats/summary", {"node": {"runtime": {"imageFs": disk}}})

    @property
    def nodes(self) -> Nodes:
        inner = InnerApi(self.inner)  # type: ignore[arg-type]
        return Nodes(
            config=make_config(),
            inner=inner,
            names=NODES,
            kubectl=Path("kubectl"),
            kubeconfig=Path("config"),
        )

    def run(self, argv: Any, *, stdin: Any = None, **_options: Any) -> str:
        command = [str(part) for part in argv]
        node = command[command.index("--stdin") + 1].removeprefix(f"{image_loader.APP}-")
        match command[command.index("k8s.io") + 1 :]:
            case ["images", "ls"]:
                return HEAD + self.held[node]
            case ["content", "get", digest]:
                return self.manifests[digest].decode()
            case ["images", "import", "-"]:
                if node in self.refusing:
                    raise CommandError("no space left")
                assert stdin.read(1)
                self.sent.append(node)
                return ""
        raise AssertionError(command)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    return Cluster(monkeypatch)


def row(name: str, digest: str) -> str:
    kind = "application/vnd.oci.image.manifest.v1+json"
    return f"{name} {kind} {digest} 1.2 MiB linux/amd64 io.cri-containerd.image=managed\n"


def test_only_nodes_that_lack_an_image_get_it(cluster: Cluster, tmp_path: Path) -> None:
    archive = read_archive(write_oci(tmp_path / "a.tar"))
    (image,) = archive.images
    cluster.held[NODES[0]] = row(image.name, image.manifest)
    cluster.held[NODES[1]] = row(image.name, "sha256:older")
    load_images(cluster.nodes, archive, limit_seconds=10)
    assert cluster.sent == [NODES[1]]
    assert not [path for path in cluster.inner.objects if path.startswith(PODS)], "the pods are gone"


def test_an_older_archive_is_known_by_its_configuration(cluster: Cluster, tmp_path: Path) -> None:
    archive = read_archive(write_docker(tmp_path / "a.tar"))
    (image,) = archive.images
    cluster.manifests = {
        "sha256:same": encode({"config": {"digest": image.config}}),
        "sha256:other": encode({"config": {"digest": "sha256:1"}}),
    }
    cluster.held = {NODES[0]: row(image.name, "sha256:same"), NODES[1]: row(image.name, "sha256:other")}
    load_images(cluster.nodes, archive, limit_seconds=10)
    assert cluster.sent == [NODES[1]]


def test_an_archive_that_is_too_large_for_one_node_is_sent_to_none(cluster: Cluster, tmp_path: Path) -> None:
    cluster.give_room(NODES[1], free=(600 << 20))
    archive = read_archive(write_docker(tmp_path / "a.tar", layer=b"x" * (48 << 20)))
    with pytest.raises(KinkyError) as refused:
        load_images(cluster.nodes, archive, limit_seconds=10)
    assert "it needs 97 MiB on each node; nothing was sent" in str(refused.value)
    assert "t-worker-0: 600 MiB of 10240 MiB are free, of which 512 MiB must stay free" in str(refused.value)
    assert NODES[0] not in str(refused.value).partition("\n")[2].partition("hint")[0]
    assert cluster.sent == []


def test_a_node_that_has_it_needs_no_room(cluster: Cluster, tmp_path: Path) -> None:
    archive = read_archive(write_oci(tmp_path / "a.tar"))
    (image,) = archive.images
    cluster.held = dict.fromkeys(NODES, row(image.name, image.manifest))
    for node in NODES:
        cluster.give_room(node, free=0)
    load_images(cluster.nodes, archive, limit_seconds=10)
    assert cluster.sent == []


def test_one_node_that_refuses_does_not_keep_it_from_the_others(cluster: Cluster, tmp_path: Path) -> None:
    cluster.refusing = {NODES[0]}
    with pytest.raises(CommandError, match="no space left"):
        load_images(cluster.nodes, read_archive(write_oci(tmp_path / "a.tar")), limit_seconds=10)
    assert cluster.sent == [NODES[1]]


def test_what_a_node_has_lost_is_listed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from kinky.cli import load, main

    cluster.held = {
        NODES[0]: row("example.test/app:1", f"sha256:{'a' * 64}") + row("example.test/system:1", "sha256:b"),
        NODES[1]: row("example.test/system:1", "sha256:b") + row("sha256:b", "sha256:b"),
    }
    assert set(fetch_images(cluster.nodes)[NODES[1]].digests) == {"example.test/system:1"}
    monkeypatch.setattr(load, "_find_nodes", lambda _file, _asked: cluster.nodes)
    assert main.main(["load", "--list", "--stack", "dev"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["example.test/app:1", "sha256:aaaaaaaaaaaa", NODES[0]]
    assert lines[2].split() == ["example.test/system:1", "sha256:b", "all", "nodes"]
    assert main.main(["load", "--list", "--json", "--stack", "dev"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["missingOn"] == [NODES[1]]


def test_a_disk_of_unknown_size_is_no_reason_to_refuse(cluster: Cluster, tmp_path: Path) -> None:
    for node in NODES:
        cluster.inner.answer("GET", f"/api/v1/nodes/{node}/proxy/stats/summary", {})
    load_images(cluster.nodes, read_archive(write_oci(tmp_path / "a.tar")), limit_seconds=10)
    assert sorted(cluster.sent) == list(NODES)
    assert image_load.COPIES == 2
