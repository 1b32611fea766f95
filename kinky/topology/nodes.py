"""From roles and pools to the ordered list of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kinky import names

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig, Pool


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """One node of the inner cluster: its VM, VMI, hostname and Service have the same name."""

    name: str
    role: str
    """`control-plane` or `worker`."""
    pool: str
    """The worker's pool; for a control plane, its role."""
    index: int
    """Place in its pool, from 0: the ordinal."""
    cores: int
    memory_mib: int
    data_gib: int
    etcd_gib: int | None
    """Size of the etcd disk; None for a worker."""
    labels: Mapping[str, str]
    """Labels of the inner node."""
    taints: tuple[str, ...]
    """Taints of the inner node, each written as key=value:Effect."""

    @property
    def is_control_plane(self) -> bool:
        """Tell whether the node runs the API and etcd."""
        return self.role == names.CONTROL_PLANE


def build_nodes(cfg: KinkyConfig) -> tuple[NodeSpec, ...]:
    """Return all nodes: control planes first, then the pools in their order in the configuration."""
    in_pools = (node for pool in cfg.workers for node in _pool_nodes(cfg.cluster.name, pool))
    return (*_control_planes(cfg), *in_pools)


def control_planes(nodes: Iterable[NodeSpec]) -> tuple[NodeSpec, ...]:
    """Return those of the nodes that are control planes, in their order."""
    return tuple(node for node in nodes if node.is_control_plane)


def workers(nodes: Iterable[NodeSpec]) -> tuple[NodeSpec, ...]:
    """Return those of the nodes that are workers, in their order."""
    return tuple(node for node in nodes if not node.is_control_plane)


def _control_planes(cfg: KinkyConfig) -> Iterable[NodeSpec]:
    asked = cfg.control_plane
    for index in range(asked.replicas):
        yield NodeSpec(
            name=names.node_name(cfg.cluster.name, names.CONTROL_PLANE, index),
            role=names.CONTROL_PLANE,
            pool=names.CONTROL_PLANE,
            index=index,
            cores=asked.cores,
            memory_mib=asked.memory_mib,
            data_gib=asked.data_gib,
            etcd_gib=asked.etcd_gib,
            labels={},
            # kubeadm's mark-control-plane gives the taint; declaring it here too would set it twice.
            taints=(),
        )


def _pool_nodes(cluster: str, pool: Pool) -> Iterable[NodeSpec]:
    for index in range(pool.replicas):
        yield NodeSpec(
            name=names.node_name(cluster, pool.pool, index),
            role=names.WORKER,
            pool=pool.pool,
            index=index,
            cores=pool.cores,
            memory_mib=pool.memory_mib,
            data_gib=pool.data_gib,
            etcd_gib=None,
            labels=dict(pool.labels),
            taints=pool.taints,
        )
