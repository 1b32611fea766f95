"""Pure parts of the embedded host: what is run with which settings, images, manifests, verdicts."""

from __future__ import annotations

import json
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kinky.accelerator import Accelerator
from kinky.artefacts import images
from kinky.artefacts.images import Entry, Image
from kinky.embedded import (
    accelerator,
    cluster,
    components,
    credentials,
    kubevirt,
    layout,
    network,
    preflight,
    sandbox,
    settings,
    store,
    supervisor,
)
from kinky.embedded.layout import Layout
from kinky.errors import HostError
from kinky.retry import Pending

PROGRAMS = {name: Path("/tools") / name for name in components.PROGRAMS}


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "host")


def test_components_wait_only_for_components_that_start_before_them(place: Layout) -> None:
    seen: dict[str, str] = {}
    for component in components.build_components(place, PROGRAMS):
        assert set(component.after) <= set(seen)
        assert all(seen[name] for name in component.after), "what is waited for must tell when it is ready"
        seen[component.name] = component.ready
    assert list(seen)[-1] == "kubelet"


def test_specification_is_read_as_it_was_written(place: Layout, tmp_path: Path) -> None:
    chosen = components.build_components(place, PROGRAMS)
    components.write_specification(tmp_path / "spec.json", chosen)
    assert components.read_specification(tmp_path / "spec.json") == chosen


def test_sandbox_command_line_holds_the_marker(place: Layout) -> None:
    assert place.marker in " ".join(sandbox.build_command(place, 7))


def test_kubelet_keeps_images_and_stays_in_the_hosts_group(place: Layout) -> None:
    kubelet = settings.build_kubelet(place)
    assert kubelet["imageGCHighThresholdPercent"] == 100
    assert kubelet["cgroupRoot"] == f"/{place.cgroup}"


def test_containerd_settings_are_toml(place: Layout) -> None:
    import tomllib

    parsed = tomllib.loads(settings.render_containerd(place))
    assert parsed["root"] == str(place.containerd)
    plugins = parsed["plugins"]
    assert plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"] == layout.PAUSE_IMAGE
    assert plugins["io.containerd.cri.v1.runtime"]["restrict_oom_score_adj"] is True


def test_pod_network_is_the_one_that_others_rely_on() -> None:
    plugins: Any = network.build_cni()["plugins"]
    assert [plugin["type"] for plugin in plugins] == ["bridge", "portmap"]
    assert plugins[0]["ipam"]["ranges"] == [[{"subnet": "10.85.0.0/16"}]]


def test_kubeconfig_for_outside_changes_the_server_only() -> None:
    text = "clusters:\n- cluster:\n    server: https://10.84.0.1:6443\n  name: x\n"
    assert credentials.point_at(text, 16440) == text.replace("10.84.0.1:6443", "127.0.0.1:16440")


def test_private_file_is_private_from_its_first_byte(tmp_path: Path) -> None:
    credentials.write_private(tmp_path / "key", "secret")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "key"]


def test_pause_grows_to_its_limit() -> None:
    assert [supervisor.pause_before(failures) for failures in (0, 1, 2, 3, 6, 60)] == [0, 1, 2, 4, 30, 30]


def test_shared_layer_is_in_the_archive_once(tmp_path: Path) -> None:
    for name in ("base", "one", "two"):
        images.write_tar(tmp_path / f"{name}.tar", [Entry(name, name.encode() * 9, mode=0o644)])
    base, one, two = (tmp_path / f"{name}.tar" for name in ("base", "one", "two"))
    chosen = [Image("x.internal/one:1", (base, one), user="1001"), Image("x.internal/two:1", (base, two))]
    images.write_archive(tmp_path / "all.tar", chosen)
    with tarfile.open(tmp_path / "all.tar") as archive:
        names = archive.getnames()
        index = json.load(archive.extractfile("index.json") or pytest.fail("no index"))
    assert len(names) == len(set(names))
    # Three layers, and a configuration and a manifest for each of two images.
    assert len([name for name in names if name.startswith("blobs/")]) == 3 + 2 * 2
    annotated = [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]]
    assert annotated == ["x.internal/one:1", "x.internal/two:1"]


def test_same_files_give_the_same_layer(tmp_path: Path) -> None:
    entries = [Entry("d"), Entry("d/f", b"text", capability=images.CAP_NET_BIND_SERVICE), Entry("d/l", link="f")]
    for name in ("a", "b"):
        images.write_tar(tmp_path / name, entries)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_file_capability_is_what_the_kernel_reads() -> None:
    # Revision 2 with the effective bit, permitted mask with bit 10, no inheritable ones.
    assert images.file_capability(images.CAP_NET_BIND_SERVICE).hex() == "0100000200040000000000000000000000000000"


def test_initrd_is_a_cpio_archive_with_padding() -> None:
    archive = accelerator.build_initrd(b"12345")
    assert archive.startswith(b"070701") and b"init\0" in archive
    assert len(archive) % 4 == 0
    assert archive.index(b"TRAILER!!!") > archive.index(b"12345")


def test_operator_manifest_is_filled_in_without_its_deployment() -> None:
    template = (
        'kind: Namespace\nname: {{.Namespace}}\n{{index .GeneratedManifests "kv-resource.yaml"}}\n'
        '{{index .GeneratedManifests "rbac-operator.authorization.k8s.yaml.in"}}\n'
        "\n---\napiVersion: apps/v1\nkind: Deployment\nspec:\n{{.OperatorDeploymentSpec}}\n"
    )
    generated = {
        "kv-resource.yaml": "kind: CustomResourceDefinition",
        "rbac-operator.authorization.k8s.yaml.in": "namespace: {{.Namespace}}",
    }
    text = kubevirt.render_operator(template, generated)
    assert text.split() == [
        "kind:",
        "Namespace",
        "name:",
        "kubevirt",
        "kind:",
        "CustomResourceDefinition",
        "namespace:",
        "kubevirt",
    ]
    with pytest.raises(HostError, match=r"unknown placeholder: \{\{\.New\}\}"):
        kubevirt.render_operator("{{.New}}" + template, generated)
    with pytest.raises(HostError, match="no Deployment at its end"):
        kubevirt.render_operator("kind: Namespace\n", {})


def test_request_that_is_there_with_defaults_is_left_alone() -> None:
    wanted = kubevirt.build_request(accelerator=Accelerator.EMULATION)["spec"]
    present = json.loads(json.dumps(wanted))
    present["certificateRotateStrategy"] = {}
    del present["configuration"]["developerConfiguration"]["featureGates"]
    assert kubevirt.holds(present, wanted)
    assert not kubevirt.holds(present, kubevirt.build_request(accelerator=Accelerator.KVM)["spec"])


def pod(*, started: str, ready: str = "True", reason: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason}} if reason else {"running": {"startedAt": started}}
    return {
        "metadata": {"name": "x", "labels": {"kubevirt.io": "virt-api"}},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"state": state}],
        },
    }


def test_pod_of_an_earlier_start_does_not_count_as_ready() -> None:
    since = cluster.seconds_of("2026-01-01T10:00:00Z")
    fresh, stale = pod(started="2026-01-01T10:00:05Z"), pod(started="2026-01-01T09:00:00Z")
    assert kubevirt.describe_waiting([fresh], since=since) == []
    assert kubevirt.describe_waiting([stale], since=since) == ["virt-api"]


def test_reason_of_a_waiting_container_is_shown() -> None:
    failing = pod(started="", reason="CrashLoopBackOff")
    assert kubevirt.describe_waiting([failing], since=0) == ["virt-api (CrashLoopBackOff)"]


def node(*, status: str, heartbeat: str = "2026-01-01T10:00:05Z") -> dict[str, Any]:
    condition = {"type": "Ready", "status": status, "lastHeartbeatTime": heartbeat, "message": "cni not ready"}
    return {"status": {"conditions": [condition]}}


def test_node_is_ready_only_by_what_it_said_since_the_start() -> None:
    since = cluster.seconds_of("2026-01-01T10:00:00Z")
    assert cluster.ready_condition(node(status="True"), since=since) is True
    assert cluster.ready_condition(node(status="False"), since=since) == Pending("node not Ready: cni not ready")
    stale = cluster.ready_condition(node(status="True", heartbeat="2026-01-01T09:59:00Z"), since=since)
    assert stale == Pending("node has not reported since the start")
    assert cluster.ready_condition(None, since=since) == Pending("node not registered")


def test_archive_without_images_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_text("no archive")
    with pytest.raises(HostError, match=f"^{path}: not a docker-archive"):
        store.read_references(path)
    images.write_tar(path, [Entry("manifest.json", json.dumps([{"RepoTags": ["a:1", "b:2"]}]).encode())])
    assert store.read_references(path) == ("a:1", "b:2")


def test_only_node_images_that_nothing_names_are_removed() -> None:
    present = ["x/node:1", "x/node:2", "x/node:3", "x/node:4", "x/kubevirt/virt-api:1", "sha256:0"]
    objects = '{"image": "x/node:2"}'
    assert store.unused_images(present, current=["x/node:3", "x/node:4"], objects=objects) == ["x/node:1"]


def test_package_list_gives_a_reason_for_each() -> None:
    found = preflight.packages()
    assert {"runc", "mmdebstrap", "nftables"} <= set(found)
    assert all(found.values())
