from __future__ import annotations

from typing import Any

import pytest

from kinky.accelerator import Accelerator
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.manifests import (
    host_namespace,
    network_policy,
    services,
    store_reader,
    stores,
    user_data,
    virtual_machine,
)
from kinky.manifests.body import Body, logical_name
from kinky.topology.nodes import build_nodes


def config(**sections: Any) -> KinkyConfig:
    return load_config({"cluster": {"name": "t"}, "host": {"embedded": True}, **sections}, source="test")


def ports(service: Body) -> set[tuple[str, int]]:
    return {(port["protocol"], port["port"]) for port in service["spec"]["ports"]}


def test_a_control_planes_address_carries_what_the_overlay_needs() -> None:
    quiet = config(workload={"enabled": False})
    service = services.build_node_service(quiet, build_nodes(quiet)[0])
    assert service["metadata"]["name"] == "t-control-plane-0"
    assert ports(service) == {("TCP", 10250), ("TCP", 6443), ("TCP", 2379), ("TCP", 2380), ("UDP", 18472)}
    assert service["spec"]["publishNotReadyAddresses"] is True


def test_a_nodes_address_carries_the_published_ports_too() -> None:
    quiet = config(workload={"enabled": False}, network={"overlayPort": 20000})
    assert ports(services.build_node_service(quiet, build_nodes(quiet)[1])) == {("TCP", 10250), ("UDP", 20000)}
    asked = config(access={"nodePorts": [31000, "31002-31003", "30080"]})
    published = {(protocol, port) for protocol in ("TCP", "UDP") for port in (30080, 31000, 31002, 31003)}
    for node in build_nodes(asked):
        assert published <= ports(services.build_node_service(asked, node))
    rules = network_policy.build_network_policy(asked)["spec"]["ingress"][1]["ports"]
    assert {(rule["protocol"], rule["port"]) for rule in rules} == published | {("TCP", 6443)}


def test_services_select_exactly_their_vms() -> None:
    cfg = config(controlPlane={"replicas": 3}, workers=[{"pool": "a", "replicas": 2}])
    nodes = build_nodes(cfg)
    machines = {
        node.name: virtual_machine.build_virtual_machine(
            cfg, node, image="i", user_data_secret="u", credentials_secret="c", accelerator=Accelerator.KVM
        )["spec"]["template"]["metadata"]["labels"]
        for node in nodes
    }

    def selected(service: Body) -> list[str]:
        wanted = service["spec"]["selector"].items()
        return [name for name, labels in machines.items() if wanted <= labels.items()]

    for node in nodes:
        assert selected(services.build_node_service(cfg, node)) == [node.name]
    assert selected(services.build_endpoint_service(cfg)) == [f"t-control-plane-{index}" for index in range(3)]


@pytest.mark.parametrize(
    ("accelerator", "replicas", "published"),
    [("container", 1, True), ("kvm", 1, True), ("emulation", 1, False), ("unknown", 1, False), ("container", 3, False)],
)
@pytest.mark.parametrize(
    ("access", "kind", "extra"),
    [
        ({"mode": "forward"}, "ClusterIP", {}),
        ({"mode": "nodePort", "nodePort": 31000}, "NodePort", {"nodePort": 31000}),
        ({"mode": "nodePort"}, "NodePort", {}),
        ({"mode": "loadBalancer"}, "LoadBalancer", {}),
    ],
)
def test_the_endpoint_is_over_ready_control_planes_in_every_mode(
    access: dict[str, object], kind: str, extra: dict[str, int], accelerator: str, replicas: int, published: bool
) -> None:
    """One control plane, where processors are real, is published before it is ready: nobody can stand in for it."""
    cfg = config(access=access, controlPlane={"replicas": replicas})
    service = services.build_endpoint_service(cfg, accelerator=Accelerator(accelerator))
    assert service["metadata"]["name"] == "t-endpoint"
    assert service["spec"]["type"] == kind
    assert service["spec"]["publishNotReadyAddresses"] is published
    assert service["spec"]["ports"] == [{"name": "api", "port": 6443, "targetPort": 6443, "protocol": "TCP"} | extra]


def test_load_balancer_annotations_are_used_in_their_mode_only() -> None:
    annotations = {"example.com/internal": "true"}
    balanced = config(access={"mode": "loadBalancer", "loadBalancerAnnotations": annotations})
    assert services.build_endpoint_service(balanced)["metadata"]["annotations"] == annotations
    assert "annotations" not in services.build_endpoint_service(config())["metadata"]


def test_the_store_may_be_read_by_name_only() -> None:
    assert store_reader.store_secret_names(config()) == ("t-store-canary", "t-store-message", "t-store-unknown")
    account, role, binding = stores.of(config()).build_source(config())
    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["t-store-canary", "t-store-message", "t-store-unknown"],
            "verbs": ["get"],
        }
    ]
    assert store_reader.store_secret_names(config(workload={"enabled": False})) == ("t-store-canary", "t-store-unknown")
    assert account["automountServiceAccountToken"] is False
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": "kinky-t"}
    ]


def test_the_policy_opens_the_api_and_the_workload_and_nothing_else() -> None:
    spec = network_policy.build_network_policy(config())["spec"]
    assert spec["podSelector"] == {"matchLabels": {"kinky.dev/cluster": "t"}}
    assert spec["ingress"][0] == {"from": [{"podSelector": spec["podSelector"]}]}
    assert [port["port"] for port in spec["ingress"][1]["ports"]] == [6443, 30080, 30080]


def test_a_user_data_secret_is_immutable_and_opens_no_late_value() -> None:
    late = object()
    secret = user_data.build_user_data_secret(
        config(), build_nodes(config())[1], name=late, user_data=late, network_data=late
    )
    assert secret["immutable"] is True
    assert secret["stringData"] == {"userdata": late, "networkdata": late}
    assert secret["metadata"]["name"] is late


def test_every_host_object_has_the_clusters_labels_and_the_namespace() -> None:
    cfg = config(host={"embedded": True, "namespace": "lab"})
    nodes = build_nodes(cfg)
    bodies = [
        network_policy.build_network_policy(cfg),
        services.build_endpoint_service(cfg),
        *stores.of(cfg).build_source(cfg),
        *(services.build_node_service(cfg, node) for node in nodes),
    ]
    for body in bodies:
        assert body["metadata"]["namespace"] == "lab"
        assert body["metadata"]["labels"]["kinky.dev/cluster"] == "t"
        assert body["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "kinky"
    assert host_namespace.build_host_namespace(cfg)["metadata"]["name"] == "lab"
    assert logical_name(bodies[1]) == "lab/service/t-endpoint"
