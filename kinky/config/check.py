"""Rules across fields: what no single value tells."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from itertools import combinations

from kinky import names
from kinky.accelerator import Accelerator
from kinky.config.check_pools import check_pools, has_open_node
from kinky.config.model import KinkyConfig
from kinky.config.problem import UNSHOWN, KeyPath, Problem
from kinky.config.store_kinds import HOST_NAMESPACE, IN_CLUSTER, VAULT

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NODE_PREFIX = 24
"""Prefix length of the part of the pod network that each node takes (kube-controller-manager's default)."""
SERVICE_PREFIXES = range(12, 29)
"""The API server refuses larger Service networks; smaller ones have no tenth address for the DNS."""
GUEST_NETWORK = "10.0.2.0/24"
"""The network that KubeVirt's masquerade binding gives to the network card of every VM."""
EMBEDDED_HOST_NETWORKS = {"bridge": "10.84.0.0/24", "pods": "10.85.0.0/16", "Services": "10.96.0.0/16"}


def check_config(cfg: KinkyConfig) -> list[Problem]:
    """Return all problems between the fields of a configuration whose fields are each valid."""
    return [
        *check_pools(cfg),
        *_check_overlaps(cfg),
        *_check_network_sizes(cfg),
        *_check_host(cfg),
        *_check_encryption_at_rest(cfg),
        *_check_encryption(cfg),
        *_check_access(cfg),
        *_check_etcd(cfg),
        *_check_store(cfg),
        *_check_lease(cfg),
    ]


def warn_config(cfg: KinkyConfig) -> list[str]:
    """Return what is allowed and should be known, each in one line."""
    warnings = []
    if cfg.secrets_store.kind == IN_CLUSTER:
        warnings.append(
            "secretsStore.kind is inCluster: the store is lost with the cluster, and does not work while the cluster "
            "does not; keep the source of every value elsewhere"
        )
    if not has_open_node(cfg):
        warnings.append("all workers have taints: pods that do not tolerate them run nowhere")
    return warnings


def _check_overlaps(cfg: KinkyConfig) -> Iterator[Problem]:
    """An address must mean one thing to a node: pods, Services, the host and the VM's own card are disjoint."""
    inner = list(_inner_networks(cfg))
    for (key, network), (other_key, other) in combinations(inner, 2):
        if _overlap(network, other):
            yield Problem(other_key, str(other), f"overlaps {_written(key)} {network}", (key,))
    for key, network in inner:
        for index, text in enumerate(cfg.network.host_cidrs):
            host_key: KeyPath = ("network", "hostCidrs", index)
            if _overlap(network, ipaddress.ip_network(text)):
                yield Problem(key, str(network), f"overlaps {_written(host_key)} {text}", (host_key,))
        for what, text in _fixed_networks(cfg).items():
            if _overlap(network, ipaddress.ip_network(text)):
                yield Problem(key, str(network), f"overlaps {text}, {what}", (("host", "embedded"),))
        if network.is_loopback or network.is_link_local or network.is_multicast or network.is_unspecified:
            yield Problem(key, str(network), "holds addresses that mean something else on every machine")


def _check_network_sizes(cfg: KinkyConfig) -> Iterator[Problem]:
    """Each node takes a part of the pod network; the Service network has limits of its own."""
    nodes = cfg.control_plane.replicas + sum(pool.replicas for pool in cfg.workers)
    for key, network in _inner_networks(cfg):
        if key[1] == "podCidrs":
            room = 2 ** (NODE_PREFIX - network.prefixlen) if network.prefixlen <= NODE_PREFIX else 0
            if room < nodes:
                text = f"has room for {room} nodes, each takes a /{NODE_PREFIX}; {nodes} are asked for"
                yield Problem(key, str(network), text, (("controlPlane", "replicas"), ("workers",)))
        elif network.prefixlen not in SERVICE_PREFIXES:
            text = f"must have a prefix length from {SERVICE_PREFIXES[0]} to {SERVICE_PREFIXES[-1]}"
            yield Problem(key, str(network), text)


def _check_host(cfg: KinkyConfig) -> Iterator[Problem]:
    """The embedded host brings its own kubeconfig and image; any other host needs to be told the image."""
    embedded: KeyPath = ("host", "embedded")
    if not cfg.host.embedded:
        if cfg.image.reference is None:
            text = "is missing: only the embedded host finds the newest built image by itself"
            yield Problem(("image", "reference"), UNSHOWN, text, (embedded,))
        if cfg.host.asked_accelerator is Accelerator.CONTAINER:
            text = "needs host.embedded: true, because only the embedded host has container guests; or set it to auto"
            yield Problem(("host", "accelerator"), cfg.host.accelerator, text, (embedded,))
        return
    for key, value in (("kubeconfig", cfg.host.kubeconfig), ("context", cfg.host.context)):
        if value is not None:
            yield Problem(("host", key), value, "must be null with host.embedded, which has its own", (embedded,))
    if cfg.image.pull_policy == "Always":
        text = "must be IfNotPresent or Never with host.embedded, which has no registry"
        yield Problem(("image", "pullPolicy"), cfg.image.pull_policy, text, (embedded,))


def _check_encryption_at_rest(cfg: KinkyConfig) -> Iterator[Problem]:
    """Refuse a lasting cluster on a host that nobody vouches for: the host's etcd holds the inner cluster's keys.

    A cluster lasts if it is neither ephemeral nor on the embedded host. A setting of its own would be forgotten.
    """
    key: KeyPath = ("host", "encryptionAtRest")
    accept: KeyPath = ("host", "acceptUnencryptedAtRest")
    host = cfg.host
    if host.encryption_at_rest == "attested":
        if host.embedded:
            text = "must be unknown with host.embedded, which does not encrypt its etcd"
            yield Problem(key, host.encryption_at_rest, text, (("host", "embedded"),))
        if host.accept_unencrypted_at_rest:
            text = "has no meaning with host.encryptionAtRest attested"
            yield Problem(accept, host.accept_unencrypted_at_rest, text, (key,))
        return
    if not (host.embedded or cfg.cluster.ephemeral or host.accept_unencrypted_at_rest):
        text = (
            "must be attested, because the host's etcd will hold the keys of a cluster that lasts: "
            "ask who runs the host, or set host.acceptUnencryptedAtRest: true"
        )
        involved: tuple[KeyPath, ...] = (accept, ("host", "embedded"), ("cluster", "ephemeral"))
        yield Problem(key, host.encryption_at_rest, text, involved)


def _check_encryption(cfg: KinkyConfig) -> Iterator[Problem]:
    """A KMS plugin is found by its socket; its settings mean nothing to another provider."""
    asked = cfg.encryption
    provider: KeyPath = ("encryption", "provider")
    if asked.provider == names.KMS:
        if asked.kms_socket is None:
            text = "is missing: encryption.provider kms needs the socket of the plugin in the node image"
            yield Problem(("encryption", "kmsSocket"), UNSHOWN, text, (provider,))
        return
    for key, value in (("kmsSocket", asked.kms_socket), ("kmsTimeoutSeconds", asked.kms_timeout_seconds)):
        if value is not None:
            text = f"has a meaning only with encryption.provider kms, which is {asked.provider}"
            yield Problem(("encryption", key), value, text, (provider,))


def _check_access(cfg: KinkyConfig) -> Iterator[Problem]:
    """A setting of another mode would be silently without effect."""
    access = cfg.access
    settings: tuple[tuple[str, str, object], ...] = (
        ("localPort", "forward", access.local_port),
        ("nodePort", "nodePort", access.node_port),
        ("loadBalancerAnnotations", "loadBalancer", access.load_balancer_annotations or None),
    )
    for key, mode, value in settings:
        if value is not None and access.mode != mode:
            text = f"has a meaning only with access.mode {mode}, which is {access.mode}"
            yield Problem(("access", key), value, text, (("access", "mode"),))
    if cfg.network.overlay_port in cfg.published_ports:
        text = "is among the published NodePorts, and a node's address carries a port for one of them"
        yield Problem(("network", "overlayPort"), cfg.network.overlay_port, text, (("access", "nodePorts"),))


def _check_etcd(cfg: KinkyConfig) -> Iterator[Problem]:
    """An ephemeral cluster has no etcd volume to set up, and a lost member cannot come back."""
    if cfg.cluster.ephemeral:
        ephemeral: KeyPath = ("cluster", "ephemeral")
        asked = cfg.control_plane
        if asked.replicas > 1:
            text = (
                "must be 1 with cluster.ephemeral: a member of etcd that restarts with an empty disk is not let in "
                "again, so the second restart of a VM would end the cluster"
            )
            yield Problem(("controlPlane", "replicas"), asked.replicas, text, (ephemeral,))
        for key, value in (("etcdStorageClass", asked.etcd_storage_class), ("etcdRetain", asked.etcd_retain or None)):
            if value is not None:
                text = "has no meaning with cluster.ephemeral, where etcd has no volume"
                yield Problem(("controlPlane", key), value, text, (ephemeral,))


def _check_store(cfg: KinkyConfig) -> Iterator[Problem]:
    """A store in the cluster that it serves is for clusters that are thrown away; each kind has its own settings."""
    store, kind = cfg.secrets_store, ("secretsStore", "kind")
    if store.kind == IN_CLUSTER and not cfg.cluster.ephemeral:
        text = (
            "is only for clusters with cluster.ephemeral true: the store would be in the cluster that it serves, "
            "and be lost with it"
        )
        yield Problem(kind, store.kind, text, (("cluster", "ephemeral"),))
    if store.kind != HOST_NAMESPACE and "token_hours" in store.model_fields_set:
        text = f"has a meaning only with secretsStore.kind {HOST_NAMESPACE}, which is {store.kind}"
        yield Problem(("secretsStore", "tokenHours"), store.token_hours, text, (kind,))
    if store.kind == VAULT and store.vault is None:
        yield Problem(("secretsStore", "vault"), UNSHOWN, "is missing: secretsStore.kind vault needs a server", (kind,))
    if store.kind != VAULT and store.vault is not None:
        text = f"has a meaning only with secretsStore.kind vault, which is {store.kind}"
        yield Problem(("secretsStore", "vault"), UNSHOWN, text, (kind,))
    elif store.vault is not None:
        yield from _check_prefix(cfg)


def _check_lease(cfg: KinkyConfig) -> Iterator[Problem]:
    """Refuse parts that outlive the cluster, or are not on the host: they would stay after the end of the lease."""
    if cfg.cluster.lease is None:
        return
    lease: KeyPath = ("cluster", "lease")
    if cfg.secrets_store.kind == VAULT:
        text = "must not be vault with cluster.lease: the host cannot remove what the cluster has on that server"
        yield Problem(("secretsStore", "kind"), cfg.secrets_store.kind, text, (lease,))
    if cfg.control_plane.etcd_retain:
        text = "must be false with cluster.lease: the host removes the volumes with the cluster"
        yield Problem(("controlPlane", "etcdRetain"), True, text, (lease,))


def _check_prefix(cfg: KinkyConfig) -> Iterator[Problem]:
    """External Secrets takes the mount's name off the front of a key, and then `data/` too."""
    mount, prefix = cfg.vault.mount, cfg.vault.prefix or ""
    if f"{prefix}/".startswith(f"{mount}/"):
        text = f"must not begin with the mount {mount}, which External Secrets would take away"
        yield Problem(("secretsStore", "vault", "prefix"), prefix, text, (("secretsStore", "vault", "mount"),))


def _inner_networks(cfg: KinkyConfig) -> Iterator[tuple[KeyPath, Network]]:
    for key, cidrs in (("podCidrs", cfg.network.pod_cidrs), ("serviceCidrs", cfg.network.service_cidrs)):
        for index, cidr in enumerate(cidrs):
            yield ("network", key, index), ipaddress.ip_network(cidr)


def _fixed_networks(cfg: KinkyConfig) -> dict[str, str]:
    fixed = {"the network card of every VM": GUEST_NETWORK}
    if cfg.host.embedded:
        fixed |= {f"the embedded host's {what}": cidr for what, cidr in EMBEDDED_HOST_NETWORKS.items()}
    return fixed


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _written(key: KeyPath) -> str:
    return f"{key[0]}.{key[1]}[{key[2]}]"
