"""A KMS in the place of a key of ours: what the API server gets, what is proved of it, and what is refused."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kinky import names, paths
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.errors import HostError
from kinky.fit.record import check_record
from kinky.keys import encryption_config, material
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.ownership import record
from kinky.render.kubeadm import build_kubeadm_documents
from kinky.render.user_data import build_node_facts
from kinky.retry import Pending
from kinky.rotation import encryption_key, items
from kinky.rotation.status import fetch_status
from kinky.scan.known import classify
from kinky.stores import evidence
from kinky.topology.addresses import Addresses
from kinky.topology.nodes import build_nodes
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_cluster import start_cluster
from tests.unit.fake_reach import FakeReach
from tests.unit.fake_store import write_metrics

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
PKI = "/api/v1/namespaces/ns/secrets/dev-pki"
SOCKET = "/run/kms/plugin.sock"
PREFIX = "k8s:enc:kms:v2:kinky:"


def config(**encryption: Any) -> KinkyConfig:
    asked = {"provider": "kms", "kmsSocket": SOCKET, **encryption}
    return load_config({"cluster": {"name": "dev"}, "host": {"embedded": True}, "encryption": asked}, source="test")


def render(**encryption: Any) -> str:
    return encryption_config.render_kms_config(config(**encryption).encryption)


def stored(host: FakeConnection) -> str:
    return base64.b64decode(host.objects[PKI]["data"][material.ENCRYPTION_FILE]).decode()


def providers(text: str) -> list[dict[str, Any]]:
    (resource,) = json.loads(text)["resources"]
    assert resource["resources"] == ["secrets"]
    return list(resource["providers"])


def test_the_kms_is_the_only_provider() -> None:
    plugin = {"apiVersion": "v2", "name": "kinky", "endpoint": f"unix://{SOCKET}", "timeout": "3s"}
    assert providers(render()) == [{"kms": plugin}]
    assert providers(render(kmsTimeoutSeconds=7))[0]["kms"]["timeout"] == "7s"
    assert encryption_config.render_kms_config(KinkyConfig.model_validate({"cluster": {"name": "x"}}).encryption) == ""


def test_the_key_secret_holds_no_encryption_key(host: FakeConnection) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev", kms_config=render())
    assert stored(host) == render()
    assert list(classify("dev-pki", material.ENCRYPTION_FILE, stored(host).encode())) == []
    assert material.fetch_encryption_provider(HostApi.connect(ACCESS), "dev") == "kms"


def test_another_socket_is_written_and_nothing_else_changes(host: FakeConnection) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev", kms_config=render())
    before = dict(host.objects[PKI]["data"])
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev", kms_config=render(kmsSocket="/run/other/kms.sock"))
    assert "unix:///run/other/kms.sock" in stored(host)
    assert {**host.objects[PKI]["data"], material.ENCRYPTION_FILE: ""} == {**before, material.ENCRYPTION_FILE: ""}


@pytest.mark.parametrize("made_with_kms", [True, False])
def test_another_provider_is_refused_and_nothing_is_written(host: FakeConnection, made_with_kms: bool) -> None:
    first, second = (render(), "") if made_with_kms else ("", render())
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev", kms_config=first)
    before = dict(host.objects[PKI]["data"])
    made = "kms" if made_with_kms else "secretbox"
    with pytest.raises(HostError, match=f"was made with encryption.provider {made}"):
        material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev", kms_config=second)
    assert host.objects[PKI]["data"] == before


def test_fit_tells_another_provider_before_anything_is_touched(host: FakeConnection) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    asked = config()
    api = HostApi.connect(ACCESS)
    record.ensure_record(api, "organization/kinky/dev", {"encryption.provider": "secretbox"})
    found = check_record(asked, api, "organization/kinky/dev", record.fetch_record(api, "dev"))
    told = [line for lines, _hint in found for line in lines]
    assert told == [
        'encryption.provider = "kms": the cluster was made with "secretbox"; this needs a new cluster: '
        "another provider cannot read the encrypted values"
    ]


@pytest.mark.parametrize(
    "first", [{"identity": {}}, {"aescbc": {}}, {"kms": {}, "identity": {}}, {}], ids=lambda first: "+".join(first)
)
def test_identity_or_another_s_provider_first_is_refused(first: dict[str, Any]) -> None:
    content = json.dumps({"resources": [{"providers": [first, {"secretbox": {}}]}]}).encode()
    with pytest.raises(HostError, match="was not written by kinky"):
        encryption_config.parse_provider(content)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({PREFIX: 4}, f"4 Secrets written with {PREFIX}, none without"),
        ({"k8s:enc:secretbox:v1:": 4}, Pending(f"no Secret was written with {PREFIX}; the metrics show k8s:enc")),
        ({"k8s:enc:kms:v2:other:": 4}, Pending(f"no Secret was written with {PREFIX}; the metrics show k8s:enc")),
    ],
)
def test_g6_counts_what_the_kms_has_encrypted(counts: dict[str, int], expected: str | Pending) -> None:
    inner = FakeConnection()
    inner.add("/api/v1/namespaces/web/secrets", "canary")
    write_metrics(inner, counts)
    prefix = names.ETCD_PREFIXES["kms"]
    found = evidence.build_encryption_check(FakeReach(ACCESS, inner), "canary", namespace="web", prefix=prefix)()
    assert type(found) is type(expected)
    assert str(expected).rstrip("')") in str(found)


def test_a_control_plane_gets_the_socket_s_folder_and_waits_for_it() -> None:
    cfg = config()
    nodes = build_nodes(cfg)
    addresses = Addresses.parse(endpoint=["10.96.0.9"], nodes={node.name: ["10.96.0.8"] for node in nodes})
    server = build_kubeadm_documents(cfg, nodes[0], nodes, addresses)[1]["apiServer"]
    assert server["extraVolumes"] == [
        {"name": "kms", "hostPath": "/run/kms", "mountPath": "/run/kms", "readOnly": True, "pathType": "Directory"}
    ]
    facts = [build_node_facts(cfg, node, addresses).get("kmsSocket") for node in nodes]
    assert facts == [SOCKET, None], "a worker has no API server"


def test_rotation_and_its_status_leave_the_key_to_the_kms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster = start_cluster(monkeypatch, tmp_path)
    before = json.dumps(cluster.host.objects, sort_keys=True)
    site = replace(cluster.site, encryption_provider=config().encryption.provider)
    with pytest.raises(HostError) as error:
        items.rotate(site, encryption_key.ITEM)
    assert "the KMS rotates the key of cluster dev; nothing was touched" in str(error.value)
    assert json.dumps(cluster.host.objects, sort_keys=True) == before
    (status,) = [each for each in fetch_status(site) if each.item == encryption_key.ITEM.name]
    assert (status.keys, status.unknown) == ((), error.value.message)


def boot(tmp_path: Path, path: Path | str) -> subprocess.CompletedProcess[str]:
    """Run the part of the control plane's boot that waits, with time that passes at once."""
    script = (paths.project_root() / "node-image/files/usr/lib/kinky/role-control-plane").read_text()
    part = script[script.index("now=kms") : script.index("# One kubeadm process")]
    stubs = f"""set -eu
config=x
jq() {{ echo "{path}"; }}
sleep() {{ :; }}
stage() {{ echo "stage $1"; }}
fail() {{ echo "FAILED stage $1: $2"; exit 1; }}
trap 'echo "exit trap"' EXIT
"""
    return subprocess.run(["sh", "-c", stubs + part], capture_output=True, text=True, cwd=tmp_path, timeout=60)


def test_a_boot_without_a_kms_waits_for_nothing(tmp_path: Path) -> None:
    assert boot(tmp_path, "").stdout == "exit trap\n"


def test_a_boot_goes_on_once_the_socket_is_there(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as plugin:
        plugin.bind(str(tmp_path / "s"))
        assert boot(tmp_path, tmp_path / "s").stdout == "stage kms\nexit trap\n"


def test_a_boot_whose_plugin_never_comes_says_so_and_ends(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = boot(tmp_path, tmp_path / "file")
    assert done.returncode == 1
    told = f"no socket {tmp_path}/file after 180 s: does the node image start the KMS plugin as a unit?"
    assert done.stdout == f"FAILED stage kms: {told}\n", "the last word on the console is the reason"
