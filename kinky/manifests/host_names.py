"""The names that a configuration gives to objects on the host, except names with a hash in them."""

from __future__ import annotations

from collections.abc import Iterator

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.manifests import network_policy, services, storage, stores
from kinky.manifests.body import Body
from kinky.manifests.store_reader import store_secret_names
from kinky.topology.nodes import build_nodes

ObjectName = tuple[str, str]
"""Kind and name."""


def list_host_names(cfg: KinkyConfig) -> frozenset[ObjectName]:
    """Return the objects of the host namespace that `up` makes or writes."""
    cluster, source = cfg.cluster.name, stores.of(cfg)
    bodies = [network_policy.build_network_policy(cfg), services.build_endpoint_service(cfg), *_node_bodies(cfg)]
    bodies += [] if source.is_inside() else source.build_source(cfg)
    found = {(str(body["kind"]), str(body["metadata"]["name"])) for body in bodies}
    found |= {("VirtualMachine", node.name) for node in build_nodes(cfg)}
    found |= {("ConfigMap", names.operations_record(cluster)), ("Secret", names.pki_secret(cluster))}
    if source.has_token():
        secrets = (*store_secret_names(cfg), names.store_decoy(cluster))
        found |= {("Secret", name) for name in secrets}
    return frozenset(found)


def _node_bodies(cfg: KinkyConfig) -> Iterator[Body]:
    for node in build_nodes(cfg):
        yield services.build_node_service(cfg, node)
        if storage.has_etcd_claim(cfg, node):
            yield storage.build_etcd_claim(cfg, node)
