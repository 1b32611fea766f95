from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
import yaml

from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.errors import ConfigError
from kinky.render import kubelet
from kinky.render.kubeadm import build_kubeadm_documents, render_documents
from kinky.render.node import RenderedNode, render_node
from kinky.topology.addresses import Addresses
from kinky.topology.nodes import NodeSpec, build_nodes


def config(**sections: Any) -> KinkyConfig:
    return load_config({"cluster": {"name": "t"}, "host": {"embedded": True}, **sections}, source="test")


def addresses(nodes: tuple[NodeSpec, ...]) -> Addresses:
    return Addresses.parse(
        endpoint=["10.96.0.50"], nodes={node.name: [f"10.96.0.{number}"] for number, node in enumerate(nodes, 100)}
    )


def rendered(cfg: KinkyConfig, name: str, **options: Any) -> RenderedNode:
    nodes = build_nodes(cfg)
    node = next(node for node in nodes if node.name == name)
    return render_node(cfg, node, nodes, addresses(nodes), **options)


def files(cfg: KinkyConfig, name: str) -> dict[str, str]:
    document = yaml.safe_load(rendered(cfg, name).user_data)
    return {entry["path"]: entry["content"] for entry in document["write_files"]}


def cluster_configuration(cfg: KinkyConfig) -> dict[str, Any]:
    nodes = build_nodes(cfg)
    return build_kubeadm_documents(cfg, nodes[0], nodes, addresses(nodes))[1]


def arguments(part: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in part["extraArgs"]}


def test_a_control_plane_gets_its_files_byte_for_byte() -> None:
    cfg = config()
    nodes = build_nodes(cfg)
    written = files(cfg, "t-control-plane-0")
    assert list(written) == ["/etc/kinky/node.json", "/etc/kinky/kubelet.env", "/etc/kinky/kubeadm.yaml"]
    expected = build_kubeadm_documents(cfg, nodes[0], nodes, addresses(nodes))
    assert written["/etc/kinky/kubeadm.yaml"] == render_documents(expected)
    assert list(yaml.safe_load_all(written["/etc/kinky/kubeadm.yaml"])) == list(expected)
    assert json.loads(written["/etc/kinky/node.json"]) == {
        "cluster": "t",
        "node": "t-control-plane-0",
        "role": "control-plane",
        "ordinal": 0,
        "address": "10.96.0.100",
        "endpointAddress": "10.96.0.50",
        "endpointName": "api.t.kinky.internal",
        "kubernetesVersion": cfg.cluster.kubernetes_version,
    }


def test_a_worker_gets_its_kubelet_configuration_and_no_kubeadm() -> None:
    cfg = config()
    written = files(cfg, "t-worker-0")
    assert list(written) == ["/etc/kinky/node.json", "/etc/kinky/kubelet.env", "/etc/kinky/kubelet.yaml"]
    document = yaml.safe_load(written["/etc/kinky/kubelet.yaml"])
    assert document["kind"] == "KubeletConfiguration"
    assert "staticPodPath" not in document
    assert document["clusterDNS"] == ["10.95.0.10"]
    assert document["rotateCertificates"] is True and document["serverTLSBootstrap"] is False
    assert document["imageGCLowThresholdPercent"] < document["imageGCHighThresholdPercent"] == 100


def test_flags_are_one_environment_line_with_labels_and_taints() -> None:
    pool = {"pool": "edge", "labels": {"example.com/zone": "a"}, "taints": ["only=edge:NoSchedule", "slow:NoExecute"]}
    text = files(config(workers=[pool], workload={"enabled": False}), "t-edge-0")["/etc/kinky/kubelet.env"]
    assert text == (
        'KUBELET_EXTRA_ARGS="--node-ip=10.96.0.101 --hostname-override=t-edge-0'
        " --node-labels=kinky.dev/cluster=t,kinky.dev/role=worker,kinky.dev/pool=edge,example.com/zone=a"
        ' --register-with-taints=only=edge:NoSchedule,slow=:NoExecute,kinky.dev/secrets-not-ready=:NoSchedule"\n'
    )


def test_a_flag_that_would_break_the_environment_file_is_refused() -> None:
    cfg = config()
    nodes = build_nodes(cfg)
    odd = dataclasses.replace(nodes[1], labels={"a": 'b" --kubeconfig=/tmp/x'})
    with pytest.raises(ConfigError, match="kubelet flag --node-labels"):
        kubelet.render_kubelet_env(cfg, odd, addresses(nodes))


def test_a_control_plane_has_its_taint_once() -> None:
    cfg = config()
    node = build_nodes(cfg)[0]
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    assert kubelet.build_taints(node) == [taint]
    assert kubelet.build_taints(dataclasses.replace(node, taints=(f"{taint['key']}:NoSchedule",))) == [taint]


def test_another_worker_changes_nobody_elses_user_data() -> None:
    one, two = config(workers=[{"pool": "worker", "replicas": 1}]), config(workers=[{"pool": "worker", "replicas": 2}])
    for name in ("t-control-plane-0", "t-worker-0"):
        assert rendered(one, name) == rendered(two, name)


def test_the_hash_follows_the_content() -> None:
    base = rendered(config(), "t-worker-0")
    assert re.fullmatch("[0-9a-f]{8}", base.content_hash)
    assert base == rendered(config(), "t-worker-0")
    assert (
        rendered(config(cluster={"name": "t", "domain": "inner.test"}), "t-worker-0").content_hash != base.content_hash
    )


def test_network_data_is_one_lease() -> None:
    assert yaml.safe_load(rendered(config(), "t-worker-0").network_data) == {
        "version": 2,
        "ethernets": {"eth0": {"dhcp4": True}},
    }


def test_one_control_plane_elects_no_leader_and_three_do() -> None:
    for replicas, elect in ((1, "false"), (3, "true")):
        document = cluster_configuration(config(controlPlane={"replicas": replicas}))
        assert arguments(document["controllerManager"])["leader-elect"] == elect
        assert arguments(document["scheduler"])["leader-elect"] == elect


def test_etcd_is_bootstrapped_statically_over_all_control_planes() -> None:
    local = cluster_configuration(config(controlPlane={"replicas": 3}))["etcd"]["local"]
    given = arguments(local)
    assert given["initial-cluster"] == ",".join(
        f"t-control-plane-{index}=https://10.96.0.{100 + index}:2380" for index in range(3)
    )
    assert given["peer-skip-client-san-verification"] == "true"
    assert "advertise-client-urls" not in given
    assert local["dataDir"] == "/var/lib/etcd/data" and local["imageTag"] == config().release.etcd_tag


def test_certificates_hold_every_way_to_the_api() -> None:
    document = cluster_configuration(config(controlPlane={"replicas": 3}))
    assert document["apiServer"]["certSANs"] == [
        "api.t.kinky.internal",
        "10.96.0.50",
        "10.96.0.100",
        "10.96.0.101",
        "10.96.0.102",
        "localhost",
        "127.0.0.1",
    ]
    assert document["imageRepository"] == "kinky.internal"
    assert document["dns"] == {"disabled": True} and document["proxy"] == {"disabled": True}
    assert (
        arguments(document["apiServer"])["encryption-provider-config"] == "/etc/kubernetes/pki/encryption-config.yaml"
    )


def test_all_control_planes_share_the_cluster_configuration() -> None:
    cfg = config(controlPlane={"replicas": 3})
    nodes = build_nodes(cfg)
    documents = [build_kubeadm_documents(cfg, node, nodes, addresses(nodes)) for node in nodes[:3]]
    assert all(document[1:] == documents[0][1:] for document in documents)
    assert [document[0]["localAPIEndpoint"]["advertiseAddress"] for document in documents] == [
        "10.96.0.100",
        "10.96.0.101",
        "10.96.0.102",
    ]


def test_limits_follow_the_scale() -> None:
    cfg = config(timeouts={"scale": 0.5})
    nodes = build_nodes(cfg)
    document = build_kubeadm_documents(cfg, nodes[0], nodes, addresses(nodes))[0]
    assert document["timeouts"] == {"controlPlaneComponentHealthCheck": "450s", "kubernetesAPICall": "60s"}
