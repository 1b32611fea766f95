"""User-data of a node: one typed record of arguments per role, one template per role, checked text out.

A node's user-data names its own address, the control planes' and the endpoint's. It names no other worker's, so a new
worker changes no other Secret and restarts no other node.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.render import cloud_config, environment, kubeadm, kubelet
from kinky.render.cloud_config import CloudInitSchemas
from kinky.render.document import render_document
from kinky.topology.addresses import Addresses
from kinky.topology.nodes import NodeSpec

TEMPLATE: Final = "user-data.yaml.j2"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerArguments:
    """Variables of templates/worker/user-data.yaml.j2."""

    node_json: str
    """Facts about the node for the units in the image, as JSON."""
    kubelet_env: str
    """EnvironmentFile with the kubelet's flags."""
    kubelet_configuration: str
    """KubeletConfiguration as YAML."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ControlPlaneArguments:
    """Variables of templates/control-plane/user-data.yaml.j2."""

    node_json: str
    """Facts about the node for the units in the image, as JSON."""
    kubelet_env: str
    """EnvironmentFile with the kubelet's flags."""
    kubeadm_documents: str
    """InitConfiguration, ClusterConfiguration and KubeletConfiguration as YAML."""


ARGUMENTS: Final[Mapping[str, type[ControlPlaneArguments | WorkerArguments]]] = {
    names.CONTROL_PLANE: ControlPlaneArguments,
    names.WORKER: WorkerArguments,
}


def render_user_data(
    cfg: KinkyConfig,
    node: NodeSpec,
    nodes: Sequence[NodeSpec],
    addresses: Addresses,
    *,
    upstream: CloudInitSchemas | None = None,
) -> str:
    """Return the checked cloud-config of a node; raises KinkyError with the template's file and line.

    Args:
        upstream: cloud-init's own schemas, when the node image's build has left them.
    """
    arguments = _build_arguments(cfg, node, nodes, addresses)
    template = f"{node.role}/{TEMPLATE}"
    text = environment.render(template, dataclasses.asdict(arguments))
    cloud_config.check_cloud_config(text, where=f"templates/{template}", upstream=upstream)
    return text


def build_node_facts(cfg: KinkyConfig, node: NodeSpec, addresses: Addresses) -> dict[str, Any]:
    """Return what /etc/kinky/node.json holds."""
    # The boot waits for the plugin's socket, where there is one. The limit is here so that another one gives the
    # user-data another name: the running node then shows that it waits for a restart.
    asked = {"kmsSocket": cfg.encryption.kms_socket, "kmsTimeoutSeconds": cfg.encryption.kms_timeout_seconds}
    kms = {key: value for key, value in asked.items() if node.is_control_plane and value}
    return {
        "cluster": cfg.cluster.name,
        "node": node.name,
        "role": node.role,
        "ordinal": node.index,
        "address": str(addresses.nodes[node.name].primary),
        "endpointAddress": str(addresses.endpoint.primary),
        "endpointName": names.endpoint_host(cfg.cluster.name),
        "kubernetesVersion": cfg.cluster.kubernetes_version,
        **kms,
    }


def _build_arguments(
    cfg: KinkyConfig, node: NodeSpec, nodes: Sequence[NodeSpec], addresses: Addresses
) -> WorkerArguments | ControlPlaneArguments:
    facts = json.dumps(build_node_facts(cfg, node, addresses), indent=2) + "\n"
    flags = kubelet.render_kubelet_env(cfg, node, addresses)
    if node.is_control_plane:
        documents = kubeadm.build_kubeadm_documents(cfg, node, nodes, addresses)
        return ControlPlaneArguments(
            node_json=facts, kubelet_env=flags, kubeadm_documents=kubeadm.render_documents(documents)
        )
    document = render_document(kubelet.build_kubelet_configuration(cfg, node))
    return WorkerArguments(node_json=facts, kubelet_env=flags, kubelet_configuration=document)
