"""The volume that outlives a control plane's VM: etcd's data, and nothing else."""

from __future__ import annotations

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.manifests.body import Body, binary_quantity, host_metadata
from kinky.topology.nodes import NodeSpec, build_nodes, control_planes


def etcd_capacity(node: NodeSpec) -> str:
    """Return the size of a control plane's etcd disk as a quantity; raises ValueError for a worker."""
    if node.etcd_gib is None:
        raise ValueError(f"{node.name} has no etcd disk")
    return binary_quantity(node.etcd_gib * 1024)


def has_etcd_claim(cfg: KinkyConfig, node: NodeSpec) -> bool:
    """Tell whether the node's etcd data is on a volume of its own; ephemeral clusters keep it on the VM's own disk."""
    return node.is_control_plane and not cfg.cluster.ephemeral


def build_etcd_claim(cfg: KinkyConfig, node: NodeSpec) -> Body:
    """Return the PersistentVolumeClaim of a control plane; KubeVirt makes a blank disk in it at first use."""
    spec: Body = {
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": etcd_capacity(node)}},
    }
    if cfg.control_plane.etcd_storage_class is not None:
        spec["storageClassName"] = cfg.control_plane.etcd_storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": host_metadata(cfg, names.etcd_claim(node.name), node=node),
        "spec": spec,
    }


def list_retained(config: KinkyConfig) -> list[str]:
    """Return the host objects that a destroy leaves on purpose, each as `Kind/name`."""
    if not config.control_plane.etcd_retain or config.cluster.ephemeral:
        return []
    claims = [names.etcd_claim(node.name) for node in control_planes(build_nodes(config))]
    return [f"Secret/{names.pki_secret(config.cluster.name)}", *(f"PersistentVolumeClaim/{claim}" for claim in claims)]
