"""Host Services: one permanent address per node (S-address), and the endpoint in front of the control planes.

A Service carries only the ports it lists. Nodes and inner pods reach all others of a node through the overlay.
"""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.accelerator import Accelerator
from kinky.config.model import KinkyConfig
from kinky.manifests.body import Body, host_metadata
from kinky.topology.nodes import NodeSpec

KUBELET_PORT: Final = 10250
ETCD_CLIENT_PORT: Final = 2379
ETCD_PEER_PORT: Final = 2380

_SERVICE_TYPES: Final = {"forward": "ClusterIP", "nodePort": "NodePort", "loadBalancer": "LoadBalancer"}


def build_node_service(cfg: KinkyConfig, node: NodeSpec) -> Body:
    """Return the Service whose cluster IP is the node's address for its whole life."""
    ports = [
        _port("kubelet", KUBELET_PORT),
        _port("overlay", cfg.network.overlay_port, protocol="UDP"),
    ]
    if node.is_control_plane:
        ports += [
            _port("api", names.ENDPOINT_PORT),
            _port("etcd-client", ETCD_CLIENT_PORT),
            _port("etcd-peer", ETCD_PEER_PORT),
        ]
    for number in cfg.published_ports:
        ports += [_port(f"{protocol.lower()}-{number}", number, protocol=protocol) for protocol in ("TCP", "UDP")]
    spec = _cluster_ip_spec("ClusterIP", {names.LABEL_CLUSTER: cfg.cluster.name, names.LABEL_NODE: node.name}, ports)
    # etcd has to form, and kubelets to be asked for logs, before anything is ready.
    spec["publishNotReadyAddresses"] = True
    return {"apiVersion": "v1", "kind": "Service", "metadata": host_metadata(cfg, node.name, node=node), "spec": spec}


def build_endpoint_service(cfg: KinkyConfig, *, accelerator: Accelerator = Accelerator.UNKNOWN) -> Body:
    """Return the Service over the control planes; every access mode keeps its cluster IP, which workers use."""
    port = _port("api", names.ENDPOINT_PORT)
    if cfg.access.mode == "nodePort" and cfg.access.node_port is not None:
        port["nodePort"] = cfg.access.node_port
    selector = {names.LABEL_CLUSTER: cfg.cluster.name, names.LABEL_ROLE: names.CONTROL_PLANE}
    spec = _cluster_ip_spec(_SERVICE_TYPES[cfg.access.mode], selector, [port])
    # A single one has nobody to stand in for it, and the host takes seconds to tell that it is ready. Workers ask it
    # meanwhile, which an emulated one is spared.
    is_quick = accelerator in (Accelerator.KVM, Accelerator.CONTAINER)
    spec["publishNotReadyAddresses"] = is_quick and cfg.control_plane.replicas == 1
    metadata = host_metadata(cfg, names.endpoint_service(cfg.cluster.name))
    if cfg.access.mode != "forward":
        spec["externalTrafficPolicy"] = "Cluster"
    if cfg.access.mode == "loadBalancer":
        spec["allocateLoadBalancerNodePorts"] = True
        if cfg.access.load_balancer_annotations:
            metadata["annotations"] = dict(cfg.access.load_balancer_annotations)
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _port(name: str, number: int, *, protocol: str = "TCP") -> Body:
    return {"name": name, "port": number, "targetPort": number, "protocol": protocol}


def _cluster_ip_spec(kind: str, selector: dict[str, str], ports: list[Body]) -> Body:
    return {
        "type": kind,
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
        "selector": selector,
        "ports": ports,
    }
